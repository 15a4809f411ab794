"""Flask's room: joins the parts to a service over HTTP. Parameters in, answers out.

::

    wsgi, server     how a process starts
    app, fastpath    the shell: Flask's routing, and tiles before it
    routes           every address in one table
    api, features, tiles, pages, files, openapi      the functions that answer, without a framework
    params, negotiation, exchange, links, responses  parsing, conditions, answers, errors
    service          what every request needs, opened once
"""

from gisservice.web.app import create_app, wsgi_app
from gisservice.web.server import serve

__all__ = ["create_app", "serve", "wsgi_app"]
