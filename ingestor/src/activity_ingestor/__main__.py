"""The command line: run (default), `check`, `health`, `--demo`."""

from __future__ import annotations

import argparse
import asyncio
from http import HTTPStatus
import logging
from pathlib import Path
import signal
import sys
from urllib.error import URLError
from urllib.request import urlopen

from activity_ingestor import __version__
from activity_ingestor.errors import Category, IngestorError, categorise, in_words
from activity_ingestor.settings import Settings, SettingsError, SinkKind, load

# sysexits.h: systemd's RestartPreventExitStatus knows that a restart will not help.
EX_CONFIG = 78
_HEALTH_S = 4.0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="activity-ingestor",
        description="Watches Home Assistant from outside, and records its events without loss."
        " Settings come from the environment: see README.md.",
    )
    parser.add_argument(
        "command",
        nargs="?",
        default="run",
        choices=("run", "check", "health"),
        help="run (default); check: try the settings and every connection, and say what is wrong;"
        " health: ask a running service, for container health checks",
    )
    parser.add_argument(
        "--demo",
        metavar="URL",
        nargs="?",
        const="http://127.0.0.1:8123",
        help="use the demo's Home Assistant without a token, and local files as the database",
    )
    parser.add_argument(
        "--alarm",
        action="store_true",
        help="with check: send a test alarm by every channel, to see whether it reaches you",
    )
    parser.add_argument("--version", action="version", version=__version__)
    return parser.parse_args(argv)


def _demo_settings(url: str) -> Settings:
    folder = Path("ingestor-demo")
    return load(
        home_assistant_url=url,
        sink=SinkKind.FILES,
        sink_folder=folder / "lines",
        data_folder=folder,
        batch_s=2.0,
        log_format="console",
    )


async def _run(settings: Settings, demo_url: str | None) -> None:
    from activity_ingestor import logs  # noqa: PLC0415 - `health` has to be quick
    from activity_ingestor.app import App  # noqa: PLC0415
    from activity_ingestor.demo import demo_token  # noqa: PLC0415

    logs.configure(settings)
    app = App(settings, token=demo_token(demo_url) if demo_url else None)
    loop = asyncio.get_running_loop()
    # As PID 1 of a container a process without handlers ignores SIGTERM.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop)
    await app.run()


async def _check(settings: Settings, demo_url: str | None, *, send_alarm: bool) -> bool:
    import structlog  # noqa: PLC0415

    from activity_ingestor.check import check  # noqa: PLC0415
    from activity_ingestor.demo import demo_token  # noqa: PLC0415

    # The answer says it all; a log between its lines would only confuse.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    token = demo_token(demo_url) if demo_url else None
    results = await check(settings, token=token, send_alarm=send_alarm)
    for result in results:
        print(f"{'ok  ' if result.ok else 'FAIL'} {result.name}: {result.said}")  # noqa: T201
        if result.advice:
            print(f"     {result.advice}")  # noqa: T201
    wrong = sum(not result.ok for result in results)
    print(f"{wrong} of {len(results)} are wrong" if wrong else "All is well.")  # noqa: T201
    return wrong == 0


def _health(settings: Settings) -> bool:
    host = "127.0.0.1" if settings.http_host in ("0.0.0.0", "::") else settings.http_host  # noqa: S104
    url = f"http://{host}:{settings.http_port}/health"
    try:
        with urlopen(url, timeout=_HEALTH_S) as response:  # nosec B310
            return bool(response.status == HTTPStatus.OK)
    except (URLError, OSError):
        return False


def main(argv: list[str] | None = None) -> int:
    """Run a command and return the exit code: 0 good, 1 failed, 78 wrong configuration."""
    arguments = _arguments(argv)
    try:
        settings = _demo_settings(arguments.demo) if arguments.demo else load()
        if arguments.command == "check":
            well = asyncio.run(_check(settings, arguments.demo, send_alarm=arguments.alarm))
            return 0 if well else 1
        if arguments.command == "health":
            return 0 if _health(settings) else 1
        asyncio.run(_run(settings, arguments.demo))
    except SettingsError as error:
        print("activity-ingestor: these settings cannot work:", file=sys.stderr)  # noqa: T201
        for problem in error.problems:
            print(f"  {problem}", file=sys.stderr)  # noqa: T201
        return EX_CONFIG
    except (IngestorError, OSError) as error:
        print(f"activity-ingestor: {in_words(error)}", file=sys.stderr)  # noqa: T201
        return EX_CONFIG if categorise(error) is Category.CONFIGURATION else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
