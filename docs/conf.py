"""The site, built by ``make docs``: the pages of this folder, the API from docstrings, gallery, bibliography."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_site"))

import fpsolve as fp  # noqa: E402

project = "fpsolve"
author = "The fpsolve authors"
copyright = "The fpsolve authors, GPL-3.0-or-later"
version = release = fp.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinxcontrib.bibtex",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "pages",
    "repository",
    "docstrings",
    "bibliography",
]
exclude_patterns = ["_site", "gallery/*.py", "gallery/*.ipynb", "gallery/*.md5", "gallery/*.zip", "gallery/*.json"]
highlight_language = "text"
language = "en"

# --- pages ------------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
site_contents = {
    "Start": ["quickstart", "tutorial", "choosing", "gallery/index", "README <readme>"],
    "Guide": ["notation", "mathematics", "sums", "noise", "ensembles", "cluster", "long-times", "compare", "petsc"],
    "Results": ["report", "stationary", "networks", "transformers", "theory", "validation", "benchmarks"],
    "Reference": ["catalogue", "result", "api/index", "extending", "design/house", "references", "changelog"],
}
"""The table of contents by caption; every page stands in it."""

# --- the tutorial, run in a kernel of Jupyter whenever the site is built ----------------------------------------------

nb_execution_mode = "force"
nb_execution_in_temp = True  # what it writes stays out of docs/, where the next build would refuse to overwrite it
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

# --- API --------------------------------------------------------------------------------------------------------------

autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True, "show-inheritance": True}
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False

# --- other projects: inventories lie in the repository, cut down (inventories/cut.py) to what pages refer to ----------
# Those of NumPy, SciPy, xarray and matplotlib are missing: their names stand in signatures without a link.

INVENTORIES = HERE / "inventories"
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", str(INVENTORIES / "python.inv")),
}

# --- bibliography -----------------------------------------------------------------------------------------------------

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "preprints"
bibtex_reference_style = "author_year"

# --- gallery ----------------------------------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": str(HERE.parent / "examples" / "gallery"),
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("figures",),
    "capture_repr": (),
    "run_stale_examples": True,
    "write_computation_times": False,
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 1e9,
}

# --- looks ------------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"fpsolve {release}"
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"
