"""The application factory: joins the service's functions to Flask, which routes and no more."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.routing import PathConverter

from gisservice.settings import Settings
from gisservice.web.exchange import Answer, Request
from gisservice.web.fastpath import FastPath, StartResponse, WSGIApplication, send
from gisservice.web.responses import respond
from gisservice.web.routes import ROUTES, Route, methods
from gisservice.web.service import Service


class _RestOfPath(PathConverter):
    """All that is left of an address: the id of an item may begin with a slash, too."""

    regex = ".+?"
    part_isolating = False


def create_app(settings: Settings | None = None, tally_file: Path | None = None) -> Flask:
    """Return the Flask application; without ``settings`` they come from the environment.

    ``tally_file`` is what the processes of one server count in together; without it each tells its own figures.

    The :class:`Service` is ``app.extensions["gisservice"]``. Raises :class:`SettingsError` for a registry or a
    setting that cannot be used. :func:`wsgi_app` is this application behind the fast path.
    """
    settings = settings or Settings.load()
    service = Service.open(settings, tally_file)
    app = Flask("gisservice.web", static_folder=None, template_folder=None)
    app.extensions["gisservice"] = service
    app.config["MAX_CONTENT_LENGTH"] = settings.request_bytes_max
    # One address, one resource: no redirects between spellings. Hosts are checked by Service.admit on every path,
    # so Flask's own list (which knows no IPv6 address) stays empty.
    app.url_map.merge_slashes = False
    app.url_map.converters["path"] = _RestOfPath
    for route in ROUTES:
        app.add_url_rule(
            route.rule,
            endpoint=f"{route.method} {route.template}",
            view_func=_view(service, route),
            methods=[route.method, "OPTIONS"],
            strict_slashes=route.rule != "/",  # behind a prefix the path of the front page may be empty
            provide_automatic_options=False,
        )
    app.register_error_handler(Exception, lambda error: _Finished(_refuse(service, error)))
    return app


def wsgi_app(settings: Settings | None = None, tally_file: Path | None = None) -> WSGIApplication:
    """Return the WSGI application that a server runs: tiles and items by the fast path, everything else by Flask."""
    app = create_app(settings, tally_file)
    return FastPath(app.extensions["gisservice"], app)


def _view(service: Service, route: Route) -> Any:
    allowed = methods(route.rule)

    def view(**path: str) -> Response:
        answer = respond(service, Request(request.environ), lambda s, r: route.answer(s, r, **path), allowed)
        return _Finished(answer)

    return view


def _refuse(service: Service, error: Exception) -> Answer:
    """Answer what Flask itself refused (no route, wrong method), by the same door as every error."""

    def handler(service: Service, asked: Request) -> Answer:
        raise error

    asked = Request(request.environ)
    return respond(service, asked, handler)


class _Finished(Response):
    """An answer on its way through Flask: sent as it is, its headers are not parsed and built again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(status=answer.status)
        self._answer = answer

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Send the answer (PEP 3333)."""
        return send(self._answer, environ, start_response)
