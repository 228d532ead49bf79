"""`darwin serve`: the deployment by HTTP, with its jobs and its schedules."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from darwin.errors import ConfigError, StorageError
from darwin.rl.cli.options import ARTIFACTS, Finite

if TYPE_CHECKING:
    from darwin.service.settings import Settings

_LEAVING_S = 4


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to bind.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8000, show_default=True,
    help="0: one that is free.",
)  # fmt: skip
@click.option("--private", is_flag=True, help="Want a token of those who only look, too.")
@click.option(
    "--allow-host", "allow_hosts", multiple=True, metavar="NAME",
    help="A name by which it may be asked, beside localhost; several times.",
)  # fmt: skip
@click.option("--klines-url", metavar="URL", help="Where bars for trainings are fetched.")
@click.option("--data", metavar="DIR", help="Or a folder of bars that are there.")
@click.option("--no-scheduler", is_flag=True, help="Retrain nothing by schedule.")
@click.option("--no-jobs", is_flag=True, help="Start no jobs; another process does.")
@click.option(
    "--benchmark-wait", type=Finite(0, 600), default=60.0, show_default=True,
    metavar="S", help="For how long an answer waits for a benchmark.",
)  # fmt: skip
@click.option("--models-dir", metavar="DIR", help="The models, if elsewhere.")
@click.option("--db", metavar="FILE", help="The database, if it is not in its usual place.")
@click.option(
    "--artifacts-dir", metavar="DIR", envvar="DARWIN__ARTIFACTS_DIR", default=ARTIFACTS,
    show_default=True, show_envvar=True, help="Where the deployment keeps its files.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Say as JSON where it listens.")
def serve(
    host: str,
    port: int,
    private: bool,
    allow_hosts: tuple[str, ...],
    klines_url: str | None,
    data: str | None,
    no_scheduler: bool,
    no_jobs: bool,
    benchmark_wait: float,
    models_dir: str | None,
    db: str | None,
    artifacts_dir: str,
    as_json: bool,
) -> None:
    """Serve the deployment by HTTP: what it knows, and what it may be asked to do.

    Who wants to change something needs the token of an operator. Reading is open on this machine,
    unless --private; it needs a token wherever the address is one that others reach. It ends by
    Ctrl-C or SIGTERM; jobs that run go on, and the next service finds them.

    \b
    Examples:
      darwin serve
      darwin serve --host 0.0.0.0 --allow-host darwin.example.org --port 8443
    """
    if klines_url is not None and data is not None:
        raise ConfigError(
            "bars are fetched or are there, not both", where="--klines-url, --data",
            mend="leave one of them out",
        )  # fmt: skip
    _require_extra()
    from darwin.service.place import Place
    from darwin.service.settings import Settings

    settings = Settings(
        Place(artifacts_dir, db, models_dir), host, port, private, allow_hosts, klines_url, data,
        not no_jobs, not no_scheduler, benchmark_wait,
    )  # fmt: skip
    _serve(settings, as_json=as_json)


def _require_extra() -> None:
    """See that what serves is installed. Raises ConfigError."""
    import importlib.util

    if lacking := [one for one in ("fastapi", "uvicorn") if importlib.util.find_spec(one) is None]:
        raise ConfigError(
            f"{' and '.join(lacking)} must be installed for `darwin serve`",
            where="the extra `service`", mend="pip install 'darwin[service]'",
        )  # fmt: skip


def _serve(settings: Settings, *, as_json: bool) -> None:
    import uvicorn

    from darwin.service.app import create_app
    from darwin.service.chores import chores_of

    with _bound(settings.host, settings.port) as listening:
        app = create_app(settings, chores_of(settings))
        _announce(settings, listening, as_json=as_json)
        server = _leaving(app)(
            uvicorn.Config(
                app, log_config=_logging(), access_log=False, server_header=False, date_header=True,
                proxy_headers=False, timeout_graceful_shutdown=_LEAVING_S, ws="none",
                timeout_keep_alive=15, h11_max_incomplete_event_size=32_768, limit_concurrency=512,
            )
        )  # fmt: skip
        server.run(sockets=[listening])
    click.echo("left", err=True)


def _logging() -> dict[str, Any]:
    """Where lines of the log go: stderr, and logs/darwin.log where that can be written."""
    from darwin.cli.logs import LOG_FILE
    from darwin.service.log_config import log_config

    tree = log_config()
    with suppress(OSError):
        LOG_FILE.parent.mkdir(parents=True, exist_ok=True)
        LOG_FILE.open("ab").close()
        tree["handlers"]["file"] = {
            "class": "logging.FileHandler", "filename": str(LOG_FILE), "encoding": "utf-8",
            "formatter": "line", "delay": True,
        }  # fmt: skip
        tree["loggers"]["darwin"]["handlers"] = ["stderr", "file"]
    return tree


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises ConfigError, StorageError where it cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as fault:
        raise ConfigError(
            f"{host!r} is no address that can be bound", where="--host",
            mend="127.0.0.1 serves this machine, 0.0.0.0 all that reach it",
        ) from fault  # fmt: skip
    listening = socket.socket(family, kind, proto)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(512)
    except OSError as fault:
        listening.close()
        raise StorageError(
            f"port {port} of {host} cannot be had: {(fault.strerror or str(fault)).lower()}",
            where="--port", mend="stop what holds it, or choose another with --port",
        ) from fault  # fmt: skip
    return listening


def _announce(settings: Settings, listening: socket.socket, *, as_json: bool) -> None:
    from darwin.cli.tables import print_json

    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{port}"
    if as_json:
        print_json({"url": url, "reading_needs_token": settings.reading_needs_token}, indent=None)
        return
    click.echo(f"serving {settings.place.artifacts_dir} at {url}")
    who = "everyone who looks or acts" if settings.reading_needs_token else "everyone who acts"
    click.echo(f"{who} needs a token: darwin token create NAME --role operator|viewer")


def _leaving(app: object) -> type:
    """A server that lets those go who listen to events, and ends with exit code 0 by a signal."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: object) -> None:
            app.state.served.hub.close()  # type: ignore[attr-defined]
            self.should_exit = True

    return Server
