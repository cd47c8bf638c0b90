"""Numbers and words that break readers: the borders of integer widths, of floats, of names."""

from __future__ import annotations

from random import Random

INTEGERS = (
    0, 1, 2, 3, 4, 5, 7, 8, 13, 16, 64, 100, 127, 128, 255, 256, 1000, 1024, 4096, 65_535, 65_536, 10**6, 2**24,
    2**28, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**53 + 1, 2**62, 2**63 - 1,
)  # fmt: skip
"""Magnitudes of int64; each is drawn with either sign."""

FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e-7, 1e38, 3.5e38, -1e38, 2.0**31, 2.0**63, float("inf"), float("nan"))

WORDS = (
    "", " ", "x", ".", "..", "/", "a/b", "../x", "/etc/passwd", "\x00", "\x1b[31m", "\n", "a\nb", "\r", "\u2028",
    "\u200b", "\u202e", "é", "名前", "\U0001f600", "::error::x", "\n::error::x", "  ::warning::x",
    "##vso[task.complete]", "##[error]x",
    "section_start:1:x\r", "%s%n{}{0}", "<script>", "]]>", "&amp;", "a,b", "a=b", "#", "*", "[", "[!", "**", "?", "\\",
    "-1", "1e999", "NaN", "None", "__class__", "CON", "x" * 300, "n" * 20_000, "[" * 300,
)  # fmt: skip
"""Names as anybody may choose them: control characters, commands of CI services, globs, markup, lengths."""


def integer(random: Random, near: int = 0) -> int:
    """Draw an int64: mostly a small one, else one at a border, or close to `near`."""
    way = random.random()
    if way < 0.4:
        return random.randint(-2, 9)
    if way < 0.55:
        return near + random.choice((-1, 1, 2, -near, near))
    if way < 0.95:
        found = random.choice(INTEGERS)
        return found if random.random() < 0.75 else -found
    return random.randint(-(2**63), 2**63 - 1)


def real(random: Random) -> float:
    """Draw a float: one at a border, or a plain one."""
    return random.choice(FLOATS) if random.random() < 0.8 else random.uniform(-10, 10)


def word(random: Random) -> str:
    """Draw a name."""
    return random.choice(WORDS) if random.random() < 0.8 else random.choice(WORDS) + random.choice(WORDS)


def damaged(random: Random, content: bytes) -> bytes:
    """Return `content` with some bytes flipped, cut out, doubled or set to borders."""
    bytes_ = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        at = random.randrange(len(bytes_) + 1)
        way = random.randrange(6)
        if way == 0 and at < len(bytes_):
            bytes_[at] ^= 1 << random.randrange(8)
        elif way == 1:
            bytes_[at : at + random.choice((1, 2, 4, 8))] = random.choice((b"\x00", b"\xff", b"\x7f", b"\x80")) * (
                random.choice((1, 2, 4, 8))
            )
        elif way == 2:
            del bytes_[at : at + random.choice((1, 1, 2, 8, 64, 1000))]
        elif way == 3:
            bytes_[at:at] = random.randbytes(random.choice((1, 1, 2, 8, 64)))
        elif way == 4:
            bytes_[at:at] = bytes_[at : at + random.choice((1, 4, 16, 64, 256))]
        else:
            del bytes_[at:]
    return bytes(bytes_)
