"""Every error smearscan raises on purpose.

::

    SmearscanError
    ├── ConfigError      a value given by the user is out of its range
    │   └── OutputError  a result cannot be written: the disk is full, the place is closed
    ├── ImageError       a picture cannot be read or has no usable shape
    ├── DatasetError     a training or evaluation set does not say what it must
    ├── LeakError        cells of one picture, original or group are on both sides of a score
    ├── RunError         a run folder is in use, damaged, or holds a run that is to be continued first
    ├── WeightsError     a weights file or its card is missing, altered or of another kind
    └── EngineError      a device or inference engine cannot do what was asked
"""


class SmearscanError(Exception):
    """Base of all errors that a caller may want to show to a user as one sentence."""


class ConfigError(SmearscanError):
    """A value is out of its range; the message names the value, the limit and the cure."""


class OutputError(ConfigError):
    """A result cannot be written; the message names the file, the reason and the cure."""


class ImageError(SmearscanError):
    """A picture cannot be read as an RGB field; the message names the file and the reason."""


class DatasetError(SmearscanError):
    """A data set is incomplete or contradicts itself; the message names the file and the cure."""


class LeakError(SmearscanError):
    """Folds leak, so a score over them would be too good; the message tells what was found and the cure."""


class RunError(SmearscanError):
    """A run folder is in use, damaged, or holds an unfinished run; the message names it and the cure."""


class WeightsError(SmearscanError):
    """A weights file or its card is missing, altered or made for another stage."""


class EngineError(SmearscanError):
    """A device or an inference engine is not available or failed."""
