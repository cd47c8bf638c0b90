"""Measure the rules on the faulty networks: `python -m tests.corpus.faulty`, with `--write` the page in docs too."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Print recall and precision by rule, what is not found and what nobody has judged."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from corpus.faulty import measuring, page

    told = measuring.tell_all()
    text = page.page(told)
    print(text[text.index("| Rule") :])
    for line in measuring.unjudged(told):
        print(f"nobody has judged {line}")
    if "--write" in sys.argv:
        page.PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
