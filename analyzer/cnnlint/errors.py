"""The errors that cnnlint raises; each names the file, what is wrong and what to do."""


class CnnlintError(Exception):
    """Any error that cnnlint raises on purpose; `str()` of it is one line for the user.

    Args:
        cause: What is wrong, in one clause, without the file's name.
        path: The file or URL that it is about, as the user wrote it.
        remedy: What the user can do about it, as a sentence or a command.
    """

    def __init__(self, cause: str, *, path: str | None = None, remedy: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.path = path
        self.remedy = remedy

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        then = f" ({self.remedy})" if self.remedy else ""
        return f"{where}{self.cause}{then}"


class ModelError(CnnlintError):
    """The file cannot be read as a model."""


class ContradictionError(ModelError):
    """A layer contradicts its own definition: a stride of 0, ranks that do not agree, an axis that is not there.

    `cause` is a clause about the layer. Frontends keep such a layer as an opaque one where they can.
    """


class UnsupportedModelError(ModelError):
    """The file is a sound file of a kind that holds no graph to lint (weights only, a Git LFS pointer)."""


class WeightsOnlyError(UnsupportedModelError):
    """The file holds the weights of a model and not the model."""


class ConfigError(CnnlintError):
    """A configuration file or a command line option is wrong."""


class RuleError(CnnlintError):
    """A rule or a plugin is malformed, or two rules claim one code."""


class InternalError(CnnlintError):
    """cnnlint itself failed on a model: a fault of its own, or the machine's, and not of the file.

    Args:
        cause: As of any error.
        path: The model.
        remedy: As of any error.
        trace: The traceback, many lines, for whoever mends it.
    """

    def __init__(self, cause: str, *, path: str | None = None, remedy: str | None = None, trace: str = "") -> None:
        super().__init__(cause, path=path, remedy=remedy)
        self.trace = trace


class MissingExtraError(CnnlintError):
    """The job needs a package of an optional extra; the remedy is the command that installs it."""


class ConversionError(CnnlintError):
    """A Keras model or SavedModel could not be converted to ONNX."""


class RuntimeCheckError(CnnlintError):
    """onnxruntime could not do what a check needs."""


class UnfinishedRunError(CnnlintError):
    """A model was not run to its end: a limit was met, or the process that ran it ended.

    It is no statement about the model, and so no RuntimeCheckError, which rules take for one.
    """
