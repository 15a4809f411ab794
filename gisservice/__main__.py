"""The operator's door: the ``gisservice`` command line.

Each verb parses its words, calls one function of the package and prints what came of it, for people or, with
``--json``, as one JSON object a line. The exit code is 0 only when all that was asked for was done: 1 says that
something failed, 2 that the command line itself was wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gisservice.catalog import Catalog, load_registry
from gisservice.errors import CatalogError, CollectionNotFound, GISServiceError, RegistryError, SettingsError
from gisservice.model import Finding, Layer, Registry, Version
from gisservice.settings import Settings
from gisservice.web import serve

if TYPE_CHECKING:
    from gisservice.ingest import Summary

# What only publishing needs (readers, rasters, the sample) is imported by the verbs that publish: a server's workers
# are children of this process, and would hold it too.

Report = Callable[[str, int, int], None]
"""``report(step, done, total)``: how far a long piece of work has come."""


class Output:
    """Where the command line speaks: tables and bars for people, JSON lines for machines."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.screen = Console(highlight=False, soft_wrap=True)
        self.errors = Console(stderr=True, highlight=False, soft_wrap=True)

    def event(self, event: str, **fields: Any) -> None:
        """Print one JSON line; nothing for people."""
        if self.as_json:
            line = orjson.dumps({"event": event, **fields}, default=str, option=orjson.OPT_SERIALIZE_NUMPY)
            click.echo(line.decode())

    def say(self, text: str | Table) -> None:
        """Print a sentence or a table for people."""
        if not self.as_json:
            self.screen.print(text, markup=False) if isinstance(text, str) else self.screen.print(text)

    def fail(self, error: Exception, **fields: Any) -> None:
        """Say what went wrong: on standard error for people, as an event for machines."""
        if self.as_json:
            self.event("error", error=type(error).__name__, message=str(error), **fields)
        else:
            self.errors.print(f"Error: {error}", style="red", markup=False)
            for line in getattr(error, "report", ()):
                self.errors.print(f"  {line}", markup=False)

    @contextmanager
    def progress(self, title: str) -> Iterator[Report]:
        """Yield a reporter that draws a bar on a terminal, prints events with ``--json``, and is silent in a pipe."""
        if self.as_json:
            yield lambda step, done, total: self.event("progress", of=title, step=step, done=done, total=total)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.errors, transient=True, disable=not self.errors.is_terminal) as bars:
            task = bars.add_task(title, total=None)

            def report(step: str, done: int, total: int) -> None:
                bars.update(task, description=f"{title}: {step}", completed=done, total=total)

            yield report


class Verb(click.Command):
    """A command that ends in one line, or one event, and exit code 1 when the package raises on purpose."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb and tell its error in the form that was asked for."""
        try:
            return super().invoke(ctx)
        except GISServiceError as error:
            Output(ctx.params["as_json"]).fail(error)
            ctx.exit(1)


class Door(click.Group):
    """The group of all verbs; a setting that cannot be used is told before any verb begins."""

    command_class = Verb

    def invoke(self, ctx: click.Context) -> Any:
        """Read the settings, then run the verb."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            Output(False).fail(error)
            ctx.exit(1)


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for machines.")
pass_settings = click.make_pass_decorator(Settings)


@click.group(cls=Door, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--registry", type=click.Path(path_type=Path), help="Layer registry [data/layers.toml].")
@click.option("--home", type=click.Path(path_type=Path), help="Folder of the published data [data/published].")
@click.version_option(package_name="gisservice")
@click.pass_context
def main(ctx: click.Context, registry: Path | None, home: Path | None) -> None:
    """Publish a city's layers and serve them as tiles, GeoJSON and public maps."""
    ctx.obj = Settings.load(registry=registry, home=home)


@main.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--workers", type=int, help="Server processes.")
@json_option
@pass_settings
def demo(settings: Settings, host: str | None, port: int | None, workers: int | None, as_json: bool) -> None:
    """Build the sample city, publish it and serve it with its maps."""
    from gisservice.ingest.sample import generate, survey_before

    settings = _with_server(settings, host, port, workers)
    output = Output(as_json)
    registry = load_registry(settings.registry)
    folder = Path(registry.folder) / "sample"
    if not (folder / "both-surveys-complete").exists():
        with output.progress("Sample city") as report:
            generate(folder, progress=report)
        (folder / "both-surveys-complete").touch()
    catalog = _catalog(settings)
    missing = [
        survey
        for layer in registry.layers
        if layer.enabled
        for survey in _missing_surveys(layer, survey_before(layer), catalog)
    ]
    if not _ingest_all(missing, registry, catalog, settings, output):
        sys.exit(1)
    _become_server(settings, as_json)


@main.command("ingest")
@click.argument("source", required=False)
@click.option("--id", "collection_id", help="Collection to publish.")
@click.option("--layer", "source_layer", help="Which layer of a source that holds several.")
@click.option("--crs", help="Coordinate reference system of a source that does not say, for example EPSG:2283.")
@click.option("--all", "everything", is_flag=True, help="Every enabled layer of the registry.")
@json_option
@pass_settings
def ingest_command(
    settings: Settings,
    source: str | None,
    collection_id: str | None,
    source_layer: str | None,
    crs: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Read SOURCE, check it, and publish it as a new version of a collection.

    With --all, or with --id alone, the sources are those that the registry declares.
    """
    output, catalog = Output(as_json), _catalog(settings)
    if everything:
        if source or collection_id or source_layer or crs:
            raise click.UsageError("--all takes everything from the registry: leave out SOURCE, --id, --layer, --crs.")
        registry = load_registry(settings.registry)
        layers = [layer for layer in registry.layers if layer.enabled]
        ingested = _ingest_all(layers, registry, catalog, settings, output)
        published = set(catalog.ids())
        made = _make_downloads([layer.id for layer in layers if layer.id in published], settings, output)
        if not (ingested and made):
            sys.exit(1)
        return
    if collection_id is None:
        raise click.UsageError("Say which collection to publish: --id ID, or --all for the whole registry.")
    from gisservice.ingest import ingest, ingest_layer

    declared = _declared(settings, collection_id)
    with output.progress(collection_id) as report:
        if source is None:
            if declared is None:
                raise CollectionNotFound(
                    f"No layer {collection_id!r} is declared in {settings.registry}; give a SOURCE or declare it."
                )
            layer, registry = declared
            folder = Path(registry.folder)
            summary = ingest_layer(
                layer, folder=folder, catalog=catalog, build_workers=settings.build_workers, progress=report
            )
        else:
            summary = ingest(
                source,
                collection_id,
                catalog=catalog,
                layer=declared[0] if declared else None,
                source_layer=source_layer,
                crs=crs,
                build_workers=settings.build_workers,
                progress=report,
            )
    _show_summary(summary, output)
    if not _make_downloads([collection_id], settings, output):
        sys.exit(1)


@main.command("serve")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--workers", type=int, help="Server processes.")
@json_option
@pass_settings
def serve_command(settings: Settings, host: str | None, port: int | None, workers: int | None, as_json: bool) -> None:
    """Serve what is published."""
    settings = _with_server(settings, host, port, workers)
    _announce(settings, load_registry(settings.registry), Output(as_json))
    serve(settings)


@main.command()
@click.argument("collection_id", metavar="ID")
@json_option
@pass_settings
def versions(settings: Settings, collection_id: str, as_json: bool) -> None:
    """List the versions of collection ID, newest first."""
    output = Output(as_json)
    table = Table("version", "published (UTC)", "records", "by", "", box=None)
    for version in _catalog(settings).versions(collection_id):
        output.event("version", **_version_fields(version))
        when = f"{version.published:%Y-%m-%d %H:%M:%S}"
        table.add_row(version.id, when, f"{version.count:,}", version.action, "current" if version.current else "")
    output.say(table)


@main.command()
@click.argument("collection_id", metavar="ID")
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@json_option
@pass_settings
def diff(settings: Settings, collection_id: str, old: str, new: str, as_json: bool) -> None:
    """Show what version B of collection ID added, removed and changed against version A."""
    output = Output(as_json)
    result = _catalog(settings).diff(collection_id, old, new)
    output.event("diff", collection=collection_id, old=old, new=new, added=len(result.added),
                 removed=len(result.removed), changed=len(result.changed))  # fmt: skip
    for sign, word, ids in (("+", "added", result.added), ("-", "removed", result.removed)):
        for item_id in ids:
            output.event(word, id=item_id)
            output.say(f"{sign} {item_id}")
    for item_id, changes in result.changed.items():
        output.event("changed", id=item_id, fields={name: list(pair) for name, pair in changes.items()})
        words = (name if name == "geometry" else f"{name}: {pair[0]!r} → {pair[1]!r}" for name, pair in changes.items())
        output.say(f"~ {item_id}  " + "; ".join(words))
    output.say(f"{len(result.added):,} added, {len(result.removed):,} removed, {len(result.changed):,} changed.")


@main.command()
@click.argument("collection_id", metavar="ID")
@click.argument("version_id", metavar="VERSION")
@json_option
@pass_settings
def rollback(settings: Settings, collection_id: str, version_id: str, as_json: bool) -> None:
    """Make an earlier VERSION of collection ID current again."""
    output = Output(as_json)
    version = _catalog(settings).rollback(collection_id, version_id)
    output.event("rolled-back", **_version_fields(version))
    output.say(f"{collection_id} is now {version.id}, {version.count:,} records.")


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@pass_settings
def backup(settings: Settings, file: Path, as_json: bool) -> None:
    """Write every kept version of every collection to FILE."""
    output = Output(as_json)
    _catalog(settings).backup(file)
    output.event("backed-up", bytes=file.stat().st_size)
    output.say(f"Wrote {file.stat().st_size / 1e6:,.1f} MB to {file}.")


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
@pass_settings
def restore(settings: Settings, file: Path, as_json: bool) -> None:
    """Bring back the collections of a backup FILE, each checked before it becomes current."""
    output = Output(as_json)
    catalog = _catalog(settings)
    catalog.restore(file)
    output.event("restored", collections=list(catalog.ids()))
    output.say(f"Restored; published now: {', '.join(catalog.ids())}.")


@main.command()
@json_option
@pass_settings
def check(settings: Settings, as_json: bool) -> None:
    """Check the registry, and every published file against its checksum."""
    output = Output(as_json)
    registry = load_registry(settings.registry)
    output.event("registry", layers=len(registry.layers), maps=len(registry.maps))
    output.say(f"Registry: {len(registry.layers)} layers and {len(registry.maps)} maps declared, no mistake found.")
    catalog = _catalog(settings)
    findings = catalog.verify()
    for finding in findings:
        _show_finding(finding, output)
    published = set(catalog.ids())
    absent = [layer.id for layer in registry.layers if layer.enabled and layer.id not in published]
    output.event("data", collections=len(published), damaged=len(findings), unpublished=absent)
    output.say(f"Data: {len(published)} collections published, {len(findings)} damaged.")
    if absent:
        output.say(f"Declared but not published yet: {', '.join(absent)}.")
    if findings:
        sys.exit(1)


@main.command()
@json_option
@pass_settings
def doctor(settings: Settings, as_json: bool) -> None:
    """Examine the installation: libraries, PROJ grids, browser libraries, security."""
    from gisservice.ingest.doctor import examine

    output = Output(as_json)
    table = Table("", "subject", "found", box=None)
    findings = examine(settings)
    marks = {"ok": "ok", "note": "note", "fail": "FAIL"}
    for finding in findings:
        output.event("examined", subject=finding.subject, state=finding.state, found=finding.found)
        table.add_row(marks[finding.state], finding.subject, finding.found)
    output.say(table)
    if any(finding.state == "fail" for finding in findings):
        sys.exit(1)


def _with_server(settings: Settings, host: str | None, port: int | None, workers: int | None) -> Settings:
    return Settings.load(registry=settings.registry, home=settings.home, host=host, port=port, workers=workers)


def _become_server(settings: Settings, as_json: bool) -> None:
    """Go on as the verb ``serve``: a new program in this process, which holds nothing of what publishing took."""
    sys.stdout.flush()
    before = ["--registry", str(settings.registry), "--home", str(settings.home)]
    after = ["--host", settings.host, "--port", str(settings.port), "--workers", str(settings.workers)]
    verb = ["serve", *after, *(["--json"] if as_json else [])]
    os.execv(sys.executable, [sys.executable, "-m", "gisservice", *before, *verb])


def _catalog(settings: Settings) -> Catalog:
    return Catalog(settings.home, versions_kept=settings.versions_kept)


def _declared(settings: Settings, collection_id: str) -> tuple[Layer, Registry] | None:
    """Return the declaration of a layer with its registry, or None when the layer is not declared.

    Only the default registry may be missing: one that was named and is not there must not publish hidden columns.
    """
    if not settings.registry.exists() and settings.registry == Settings.load({}).registry:
        return None
    registry = load_registry(settings.registry)
    layer = registry.layer(collection_id)
    return (layer, registry) if layer else None


def _missing_surveys(layer: Layer, before: Layer | None, catalog: Catalog) -> list[Layer]:
    """Return what the demo has to publish of a layer: the survey before, then today's, as a year at an office does."""
    if layer.id not in catalog.ids():
        return [before, layer] if before else [layer]
    if before is None:
        return []
    try:
        published = catalog.collection(layer.id).manifest.layer.sources
    except CatalogError:  # damaged: `gisservice check` tells which file
        return []
    cut_short = [Path(source.location).name for source in published] == [Path(before.sources[0].location).name]
    return [layer] if cut_short else []


def _ingest_all(layers: list[Layer], registry: Registry, catalog: Catalog, settings: Settings, output: Output) -> bool:
    """Publish each layer; one that fails does not stop the others. Return whether all were published."""
    from gisservice.ingest import ingest_layer

    failed = []
    for layer in layers:
        try:
            with output.progress(layer.id) as report:
                summary = ingest_layer(
                    layer,
                    folder=Path(registry.folder),
                    catalog=catalog,
                    build_workers=settings.build_workers,
                    progress=report,
                )
        except RegistryError:
            raise
        except GISServiceError as error:
            output.fail(error, collection=layer.id)
            failed.append(layer.id)
        else:
            _show_summary(summary, output)
    if failed:
        output.say(f"Not published: {', '.join(failed)}. What was published of them before is untouched.")
    return not failed


def _make_downloads(collection_ids: list[str], settings: Settings, output: Output) -> bool:
    """Make the files that layers are downloaded as; what was published is served meanwhile. Return whether all are."""
    from gisservice.ingest.downloads import make_current

    with output.progress("Downloads") as report:
        made = make_current(settings.home, collection_ids, workers=settings.build_workers, progress=report)
    output.event("downloads", files=made.files, bytes=made.size_bytes, failed=made.failed)
    if made.files:
        output.say(f"{made.files:,} files to download, {made.size_bytes / 1e6:,.1f} MB")
    for sentence in made.failed:
        output.say(f"  {sentence} They are made when somebody asks for them.")
    return not made.failed


def _show_summary(summary: Summary, output: Output) -> None:
    output.event("published", **summary.to_dict())
    repaired = sum(finding.count for finding in summary.repaired)
    output.say(
        f"{summary.collection}: {summary.read:,} read = {summary.published:,} published + "
        f"{summary.read - summary.published:,} refused; {repaired:,} repaired; version {summary.version}"
    )
    for word, findings in (("refused", summary.refused), ("repaired", summary.repaired), ("noted", summary.noted)):
        for finding in findings:
            output.say(f"  {word} {finding.count:,}: {finding.message}")


def _show_finding(finding: Finding, output: Output) -> None:
    output.event("finding", code=finding.code, message=finding.message, count=finding.count)
    output.say(f"  {finding.message}")


def _version_fields(version: Version) -> dict[str, Any]:
    return {
        "collection": version.collection,
        "version": version.id,
        "published": version.published.isoformat(),
        "action": version.action,
        "count": version.count,
        "current": version.current,
    }


def _announce(settings: Settings, registry: Registry, output: Output) -> None:
    """Print where to look, before the server takes the terminal."""
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    maps = [f"{base}/maps/{entry.id}" for entry in registry.maps]
    output.event("serving", url=f"{base}/", api=f"{base}/api", maps=maps)
    output.say(f"{registry.city.name} is served at {base}/")
    for url in [*maps, f"{base}/api", f"{base}/healthz"]:
        output.say(f"  {url}")
    output.say("Stop with Ctrl+C.")


if __name__ == "__main__":
    main(prog_name="gisservice")
