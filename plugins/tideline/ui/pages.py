"""The pages below `/tideline`, guarded by Airflow's own sign-in. Only the API server imports this module."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException as HTTPError
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

from embeddings.settings import load_settings
from tideline.ui import plugin, state

TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True)
HEADERS = {
    # No script runs, and nothing is asked of another host: the pages share the origin of the Airflow UI.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

app = FastAPI(title="Tideline", dependencies=[Depends(get_user)], docs_url=None, redoc_url=None, openapi_url=None)


@app.middleware("http")
async def add_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Add the security headers to every answer."""
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


@app.exception_handler(HTTPError)
async def send_to_sign_in(request: Request, error: HTTPError) -> Response:
    """Send a browser without a session to Airflow's sign-in and back; a program gets the status."""
    if error.status_code == 401 and "text/html" in request.headers.get("accept", ""):
        airflow = request.scope.get("root_path", "").removesuffix(plugin.PREFIX)
        back = urlencode({"next": request.url.path})
        return RedirectResponse(f"{airflow}/api/v2/auth/login?{back}", 302)
    return await http_exception_handler(request, error)


@app.get("/", response_class=HTMLResponse)
def show_current() -> str:
    """Show what is published, its layers, and what the gates of the newest runs said."""
    settings = load_settings()
    history = state.read_history(settings)
    return TEMPLATES.get_template("current.html").render(
        source=settings.source,
        history=history,
        layers=[run for run in history or () if run["is_current"]],
        runs=state.read_gates(settings),
    )


@app.get("/data-docs/{run_id}/{suite}.html", response_class=HTMLResponse)
def show_data_docs(run_id: Annotated[str, PathParameter()], suite: Annotated[str, PathParameter()]) -> str:
    """Show the Data Docs page of one gate of one run."""
    page = state.find_page(load_settings(), run_id, suite)
    if page is None:
        raise HTTPException(404, "no such Data Docs page: gates write one a run and suite, and old runs are cleaned up")
    return page.read_text()
