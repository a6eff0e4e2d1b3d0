"""Preprints have no journal: they are shown with their number, as other entries are with theirs."""

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.alpha import Style
from pybtex.style.template import Node
from sphinx.application import Sphinx


class Preprints(Style):
    """Pybtex's alphabetic style, but for articles without a journal."""

    def get_article_template(self, entry: Entry) -> Node:
        article = "journal" in entry.fields
        return super().get_article_template(entry) if article else self.get_misc_template(entry)


def setup(app: Sphinx) -> dict[str, bool]:
    register_plugin("pybtex.style.formatting", "preprints", Preprints)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
