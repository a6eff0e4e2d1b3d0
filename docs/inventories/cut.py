"""Cut an inventory down: ``python cut.py FULL.inv SMALL.inv SITE``, to what the built site in SITE links to.

FULL.inv is the file objects.inv of another project's documentation, such as Debian's packages of documentation hold.
Needs sphobjinv.
"""

import sys
from pathlib import Path

import sphobjinv as soi


def main(full: str, small: str, site: str) -> None:
    inventory = soi.Inventory(full)
    pages = [path for path in Path(site).rglob("*.html") if "source" not in path.parts]
    text = "".join(path.read_text(encoding="utf-8") for path in pages)
    inventory.objects = [one for one in inventory.objects if one.domain == "py" and f"#{one.name}\"" in text]
    soi.writebytes(small, soi.compress(inventory.data_file()))
    print(f"{small}: {len(inventory.objects)} objects")


if __name__ == "__main__":
    main(*sys.argv[1:])
