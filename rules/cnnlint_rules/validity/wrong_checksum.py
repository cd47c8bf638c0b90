"""ON018: data files that are not those that the model names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    FileContext,
    FileRule,
    Good,
    NearMiss,
    Severity,
)


class WrongChecksum(
    FileRule, code="ON018", severity=Severity.ERROR, confidence=Confidence.EXACT, reads_values=True, since="0.1.0"
):
    """The file with the weights has another checksum than the model names.

    ## Why
    A model whose weights lie in a file of their own finds them there by offset and length. Another file of the same
    length, of the training run before, say, is loaded by every runtime without a word, and gives wrong results. So the
    standard has a place for the SHA-1 of the file, and where a model uses it, this rule computes it.

    ## Instead
    Put the data file that was saved with the model beside it, and move both together. After a change of the weights
    that was meant, save the model anew or correct the entry `checksum` of each tensor.

    ## When not
    A checksum that is not 40 hexadecimal digits is a warning: it says nothing. With `--static` no weights are read.

    ## References
    - ONNX, "External Data", `checksum`.
    """

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield each data file whose checksum is another, or is none."""
        for location, (checksum, source) in file.record.checksums.items():
            if not SHA1.fullmatch(checksum):
                yield self.finding(
                    message=f"The checksum of the data file {location} is {checksum[:40]!r}, and a SHA-1 has 40"
                    " hexadecimal digits.",
                    evidence={"digits": 40},
                    advice=Advice(text="Correct the checksum, or leave it out"),
                    severity=Severity.WARNING,
                    subject=location,
                )
            elif source is not None and (found := file.digest(location)) != checksum.lower():
                yield self.finding(
                    message=f"The data file {location} of {source.size:,} bytes has the SHA-1 {found[:12]}…, and the"
                    f" model names {checksum[:12]}…: it was changed, or belongs to another model.",
                    evidence={"bytes": source.size},
                    advice=Advice(text="Put the data file that was saved with the model beside it"),
                    subject=location,
                )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] y)
            <float[2] shift = ["location": "weights.bin", "checksum": "8f0e"]> { y = Add (x, shift) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (float[1, 2] x) => (float[1, 2] y) <float[2] shift = {1, 2}> { y = Add (x, shift) }
            """
        ),
    )


SHA1 = re.compile("[0-9a-fA-F]{40}")
"""A SHA-1 in hexadecimal."""
