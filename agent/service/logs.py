"""Log output of the service: JSON lines for the journal, coloured lines on a terminal."""

import logging
import sys
from typing import TextIO

from agent.service.logstream import LogStream
from agent.service.without import without
from hw_profiles.printable import bare, lines, printable

with without("rich"):  # rich would only draw tracebacks, which are text by then; it takes 5 MB in every node
    import structlog

URGENT = frozenset(
    {"warden silent", "warden ended", "radio missing", "run folder gone", "incumbent", "not signed", "not compiled"}
)
ALARMS = frozenset({"alarm", "halted"})
CALM = "info"


def _shown(_logger: object, _method: str, said: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Make every text of a log line printable; a traceback keeps its line breaks."""
    return {
        printable(key): lines(value) if key in ("exception", "stack") else value if value is None else printable(value)
        for key, value in said.items()
    }


def begin(stream: TextIO | None = None) -> None:
    """Write every log line of this process, our own and the libraries', in one format to `stream`."""
    out = sys.stderr if stream is None else stream
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    last: structlog.typing.Processor
    # JSON escapes control characters; the coloured format writes text made printable to the unwrapped stream.
    terminal = bare(out).isatty()
    last = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(default=str)
    handler = logging.StreamHandler(LogStream(bare(out)))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([_shown] if terminal else []),
                last,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def tell(name: str, fields: dict[str, object]) -> None:
    """Write one event of the node as a log line."""
    log = structlog.stdlib.get_logger("bandpact")
    said = {("kind_of" if key == "event" else key): value for key, value in fields.items()}
    (log.error if name in ALARMS else log.warning if name in URGENT else log.info)(name, **said)
