"""OGC API Processes 1.0 (18-062r2), requirement class by requirement class, and jobs beyond a restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from asked_city import AskedCity, lonlat
from test_web_parity import points, waited_for

from gisservice.analysis.operations import operations
from gisservice.web import jobs as jobs_module
from gisservice.web.computing import Computer, Limits, Scratch
from gisservice.web.jobs import RESTARTED, Job, Jobs, Status

NEAR = {"features": "addresses", "others": "parks", "distance_ft": 250}
EXCEPTIONS = "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0"
REL = "http://www.opengis.net/def/rel/ogc/1.0"


def links(document: dict[str, Any]) -> dict[str, str]:
    return {link["rel"]: link["href"].removeprefix("http://localhost") for link in document["links"]}


def answering(city: AskedCity) -> Any:
    return city.client.application._service.answering


def accepted(city: AskedCity, **inputs: Any) -> str:
    """Start a job and return its path."""
    answer = city.execute("within", prefer="respond-async", **(inputs or NEAR))
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].removeprefix("http://localhost")


# Core


def test_the_landing_page_leads_to_processes_and_jobs(asked_city: AskedCity) -> None:
    found = links(asked_city.get("/api").get_json())
    assert (found[f"{REL}/processes"], found[f"{REL}/job-list"]) == ("/api/processes", "/api/jobs")
    declared = asked_city.get("/api/conformance").get_json()["conformsTo"]
    assert {"core", "ogc-process-description", "json", "html", "oas30", "job-list", "dismiss"} == {
        uri.rsplit("/", 1)[1] for uri in declared if "/ogcapi-processes-1/1.0/conf/" in uri
    }


def test_core_process_list(asked_city: AskedCity) -> None:
    document = asked_city.get("/api/processes").get_json()
    assert [entry["id"] for entry in document["processes"]] == sorted(operations())
    for entry in document["processes"]:
        assert {"id", "version", "title", "jobControlOptions", "outputTransmission"} <= set(entry)
        assert asked_city.get(links(entry)["self"]).get_json()["id"] == entry["id"]


def test_core_pl_limit_definition(asked_city: AskedCity) -> None:
    found, url = [], "/api/processes?limit=7"
    while url:
        document = asked_city.client.get(url).get_json()
        assert len(document["processes"]) <= 7
        found += [entry["id"] for entry in document["processes"]]
        url = links(document).get("next", "")
    assert found == sorted(operations())
    assert asked_city.get("/api/processes", limit=0).status_code == 400


def test_ogc_process_description(asked_city: AskedCity) -> None:
    for name, operation in operations().items():
        document = asked_city.get(f"/api/processes/{name}").get_json()
        assert list(document["inputs"]) == [entry.name for entry in operation.inputs]
        for described in document["inputs"].values():
            assert described["title"] and described["description"]
            assert "oneOf" in described["schema"] or described["schema"]["type"]
        assert list(document["outputs"]) == ["answer"]
        assert links(document)[f"{REL}/execute"] == f"/api/processes/{name}/execution"
        assert "office" not in document["inputs"]
    within = asked_city.get("/api/processes/within").get_json()
    assert within["inputs"]["features"]["minOccurs"] == 1
    assert within["inputs"]["distance_ft"]["minOccurs"] == 0
    assert within["inputs"]["distance_ft"]["title"] == "Distance in US survey feet"


def test_core_process_exception_no_such_process(asked_city: AskedCity) -> None:
    for answer in (asked_city.get("/api/processes/withn"), asked_city.execute("withn", **NEAR)):
        assert answer.status_code == 404
        assert answer.get_json()["type"] == f"{EXCEPTIONS}/no-such-process"
        assert "'within'" in answer.get_json()["detail"]


def test_core_process_execute_inputs(asked_city: AskedCity) -> None:
    """By value, by qualified value, by collection; GeoJSON in any of its forms."""
    point = {"type": "Point", "coordinates": list(lonlat(210, 60))}
    forms: list[Any] = [
        point,
        {"value": point},
        {"value": point, "mediaType": "application/geo+json"},
        {"type": "Feature", "geometry": point, "properties": None},
        points(tuple(point["coordinates"])),
    ]
    answers = {asked_city.execute("within", features="addresses", others=form, distance_ft=60).data for form in forms}
    assert len(answers) == 1
    assert len(json.loads(answers.pop())["features"]) == 2


def test_core_process_execute_sync_document(asked_city: AskedCity) -> None:
    raw = asked_city.execute("within", **NEAR)
    assert (raw.status_code, raw.content_type) == (200, "application/geo+json")
    found = asked_city.execute("within", response="document", **NEAR)
    assert found.content_type == "application/json"
    assert found.get_json()["answer"]["value"] == raw.get_json(force=True)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": NEAR, "outputs": {"answer": {"transmissionMode": "value"}}},
        {"inputs": NEAR, "outputs": {"answer": {"format": {"mediaType": "application/geo+json"}}}},
        {"inputs": NEAR, "outputs": {}},
    ],
)
def test_outputs_may_be_named(asked_city: AskedCity, body: dict[str, Any]) -> None:
    assert asked_city.client.post("/api/processes/within/execution", json=body).status_code == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"inputs": {**NEAR, "colour": "red"}}, "Unknown parameter 'colour'"),
        ({"inputs": {**NEAR, "distance_feet": 1}}, "did you mean 'distance_ft'?"),
        ({"inputs": {"features": "lots", "distance_ft": 1}}, "'others'"),
        ({"inputs": []}, "'inputs'"),
        ({"input": NEAR}, "did you mean 'inputs'?"),
        ({"inputs": NEAR, "outputs": {"map": {}}}, "'map'"),
        ({"inputs": NEAR, "outputs": {"answer": {"transmissionMode": "reference"}}}, "'value'"),
        ({"inputs": NEAR, "outputs": {"answer": {"format": {"mediaType": "text/csv"}}}}, "geo+json"),
        ({"inputs": NEAR, "response": "html"}, "'document'"),
        ({"inputs": NEAR, "subscriber": {"successUri": "http://example.org"}}, "'subscriber'"),
        ([], "JSON object"),
    ],
)
def test_core_what_cannot_be_executed_says_why(asked_city: AskedCity, body: Any, said: str) -> None:
    answer = asked_city.client.post("/api/processes/within/execution", json=body)
    assert answer.status_code == 400
    assert said in answer.get_json()["detail"]


def test_core_process_execute_auto_execution_mode(asked_city: AskedCity, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked without a preference it is answered at once, unless that costs too much: then it is a job."""
    assert asked_city.execute("within", **NEAR).status_code == 200
    monkeypatch.setattr("gisservice.web.processes.AT_ONCE_COST_MAX", 100)
    answer = asked_city.execute("within", **NEAR)
    assert answer.status_code == 201
    assert "Preference-Applied" not in answer.headers
    place = answer.headers["Location"].removeprefix("http://localhost")
    assert waited_for(asked_city, place)["status"] == "successful"


def test_a_plain_address_that_costs_too_much_is_refused(asked_city: AskedCity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gisservice.web.questions.AT_ONCE_COST_MAX", 100)
    answer = asked_city.get("/api/within", features="lots", others="parks", distance_ft=77)
    assert answer.status_code == 400
    assert "over the limit of 100 features" in answer.get_json()["detail"]


def test_no_question_costs_more_than_a_job_may(asked_city: AskedCity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answering(asked_city), "check_cost", lambda asked: answering(asked_city).__class__.check_cost(
        answering(asked_city), asked, 100))  # fmt: skip
    assert asked_city.execute("within", prefer="respond-async", **NEAR).status_code == 400


# Jobs


def test_core_process_execute_async(asked_city: AskedCity) -> None:
    answer = asked_city.execute("within", prefer="respond-async; wait=5", **NEAR)
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "respond-async"
    status = answer.get_json()
    assert status["processID"] == "within"
    assert (status["type"], status["status"]) == ("process", "accepted")
    place = answer.headers["Location"]
    assert place == f"http://localhost/api/jobs/{status['jobID']}"
    done = waited_for(asked_city, place.removeprefix("http://localhost"))
    assert done["created"] <= done["started"] <= done["finished"] == done["updated"]
    assert links(done)[f"{REL}/results"].endswith("/results")


def test_core_job_results_document(asked_city: AskedCity) -> None:
    body = {"inputs": NEAR, "response": "document"}
    answer = asked_city.client.post("/api/processes/within/execution", json=body, headers={"Prefer": "respond-async"})
    place = answer.headers["Location"].removeprefix("http://localhost")
    waited_for(asked_city, place)
    assert asked_city.get(f"{place}/results").get_json()["answer"]["value"]["type"] == "FeatureCollection"


def test_core_job_results_failed(asked_city: AskedCity) -> None:
    place = accepted(asked_city, **{**NEAR, "distance_ft": -5})
    status = waited_for(asked_city, place)
    assert status["status"] == "failed"
    assert "distance_ft" in status["message"]
    result = asked_city.get(f"{place}/results")
    assert result.status_code == 400
    assert result.get_json()["type"] == "urn:gisservice:problem:invalid-parameter"


def test_core_job_exception_no_such_job(asked_city: AskedCity) -> None:
    for name in ("00000000-0000-0000-0000-000000000000", "nope", "..%2f..%2flayers.toml"):
        for path in (f"/api/jobs/{name}", f"/api/jobs/{name}/results"):
            answer = asked_city.get(path)
            assert answer.status_code == 404
        assert asked_city.client.delete(f"/api/jobs/{name}").status_code == 404
    assert asked_city.get("/api/jobs/nope").get_json()["type"] == f"{EXCEPTIONS}/no-such-job"


def test_what_cannot_be_read_is_told_before_a_job_begins(asked_city: AskedCity) -> None:
    answer = asked_city.execute("within", prefer="respond-async", **{**NEAR, "others": "nothing"})
    assert answer.status_code == 404
    answer = asked_city.execute("within", prefer="respond-async", **{**NEAR, "others": "elevation"})
    assert (answer.status_code, answer.get_json()["detail"].count("raster")) == (400, 1)
    answer = asked_city.execute("zonal", areas="zones", ground="lots")
    assert answer.status_code == 400


def test_job_list(asked_city: AskedCity) -> None:
    places = [accepted(asked_city) for _ in range(3)]
    for place in places:
        waited_for(asked_city, place)
    listed = asked_city.get("/api/jobs").get_json()["jobs"]
    assert [entry["jobID"] for entry in listed[:3]] == [named_in_list(asked_city, place) for place in places[::-1]]
    assert listed == sorted(listed, key=lambda entry: entry["created"], reverse=True)
    assert all("inputs" not in entry for entry in listed)
    page = asked_city.get("/api/jobs", limit=1, processID="within,zonal").get_json()
    assert len(page["jobs"]) == 1
    following = asked_city.client.get(links(page)["next"]).get_json()
    assert following["jobs"][0]["jobID"] == listed[1]["jobID"]


def named_in_list(city: AskedCity, place: str) -> str:
    return answering(city).jobs.job(place.rpartition("/")[2]).listed_id


def test_who_sees_a_job_in_the_list_cannot_end_it_or_have_its_result(asked_city: AskedCity) -> None:
    """The id of a job is random and told to its asker only; the list calls it by another, which says how it stands."""
    place = accepted(asked_city)
    own = waited_for(asked_city, place)
    assert own["jobID"] not in asked_city.get("/api/jobs", limit=1000).text
    listed = asked_city.get("/api/jobs", limit=1).get_json()["jobs"][0]
    url = f"/api/jobs/{listed['jobID']}"
    assert [link["rel"] for link in listed["links"]] == ["self", "alternate", "up"]
    assert asked_city.get(url).get_json() == listed
    assert {**listed, "jobID": 0, "links": 0} == {**own, "jobID": 0, "links": 0}
    for answer in (asked_city.client.delete(url), asked_city.get(f"{url}/results")):
        assert answer.status_code == 404
        assert answer.get_json()["type"] == f"{EXCEPTIONS}/no-such-job"
        assert "only they have" in answer.get_json()["detail"]
    assert asked_city.get(f"{place}/results").status_code == 200


def test_links_to_the_next_jobs_keep_what_was_asked(asked_city: AskedCity) -> None:
    for _ in range(2):
        waited_for(asked_city, accepted(asked_city))
    page = asked_city.get("/api/jobs", limit=1, datetime="2020-01-01T00:00:00+01:00/..", processID="within,a&b=c")
    following = links(page.get_json())["next"]
    assert dict(parse_qsl(urlsplit(following).query))["datetime"] == "2020-01-01T00:00:00+01:00/.."
    assert dict(parse_qsl(urlsplit(following).query))["processID"] == "within,a&b=c"
    assert asked_city.client.get(following).status_code == 200


def test_job_list_filters(asked_city: AskedCity) -> None:
    place = accepted(asked_city)
    status = waited_for(asked_city, place)

    def ids(**query: Any) -> list[str]:
        return [entry["jobID"] for entry in asked_city.get("/api/jobs", **query).get_json()["jobs"]]

    job_id = named_in_list(asked_city, place)
    assert job_id in ids(type="process", status="failed,successful", processID="within")
    assert job_id not in ids(processID="zonal")
    assert job_id not in ids(status="running")
    assert ids(datetime=status["created"]) == [job_id]
    assert job_id in ids(datetime="2020-01-01T00:00:00Z/..")
    assert job_id not in ids(datetime="../2020-01-01T00:00:00Z")
    assert job_id not in ids(minDuration=3600)
    assert job_id in ids(maxDuration=3600)
    for query in (
        {"status": "lost"},
        {"datetime": "now"},
        {"minDuration": "-1"},
        {"type": "x"},
        {"limit": "0"},
        {"z": 1},
    ):
        assert asked_city.get("/api/jobs", **query).status_code == 400


def test_jobs_as_pages(asked_city: AskedCity) -> None:
    place = accepted(asked_city)
    waited_for(asked_city, place)
    for url in (place, "/api/jobs", "/api/processes/within"):
        page = asked_city.client.get(url, headers={"Accept": "text/html"})
        assert (page.status_code, page.mimetype) == (200, "text/html")
        assert "within" in page.text


def test_dismiss(asked_city: AskedCity) -> None:
    place = accepted(asked_city)
    waited_for(asked_city, place)
    answer = asked_city.client.delete(place)
    assert (answer.status_code, answer.get_json()["status"]) == (200, "dismissed")
    assert asked_city.get(place).get_json()["status"] == "dismissed"
    result = asked_city.get(f"{place}/results")
    assert (result.status_code, result.get_json()["type"]) == (404, f"{EXCEPTIONS}/result-not-ready")


def test_a_job_under_way_is_stopped(own_asked_city: AskedCity) -> None:
    """There is one place for jobs: when it is free again, the next is worked on."""
    room = answering(own_asked_city).computer._open().door
    os.kill(room.started[-1].pid, signal.SIGSTOP)  # so that the job is under way for as long as it takes to stop it
    try:
        place = accepted(own_asked_city)
        assert own_asked_city.get(f"{place}/results").status_code == 404
        assert own_asked_city.client.delete(place).get_json()["status"] == "dismissed"
    finally:
        os.kill(room.started[-1].pid, signal.SIGCONT)
    following = accepted(own_asked_city)
    assert waited_for(own_asked_city, following)["status"] == "successful"
    assert own_asked_city.get(place).get_json()["status"] == "dismissed"
    assert own_asked_city.get(f"{place}/results").status_code == 404


def test_a_job_whose_process_dies_fails_and_the_next_is_answered(own_asked_city: AskedCity) -> None:
    own_asked_city.execute("within", **NEAR)
    room = answering(own_asked_city).computer._room.door
    os.kill(room.started[-1].pid, signal.SIGKILL)
    room.started[-1].wait()
    assert own_asked_city.execute("within", **{**NEAR, "distance_ft": 251}).status_code in (200, 503)
    assert own_asked_city.execute("within", **{**NEAR, "distance_ft": 252}).status_code == 200


def test_a_fork_lets_nothing_go_that_its_owner_holds(own_asked_city: AskedCity) -> None:
    own_asked_city.execute("within", **NEAR)
    computer = answering(own_asked_city).computer
    folder = computer._room.folder
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)  # ends a child that waits for a lock which nobody will release
        computer._room = None
        os._exit(0 if folder.exists() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert own_asked_city.execute("within", **{**NEAR, "distance_ft": 253}).status_code == 200


def test_a_small_question_takes_little_memory(own_asked_city: AskedCity, monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries have 250 MB; none of them may reserve much of what is left for the question."""
    monkeypatch.setattr(answering(own_asked_city).computer, "at_once", Limits(60.0, 450_000_000, 1_000_000))
    assert own_asked_city.execute("within", **NEAR).status_code == 200


def test_a_job_cut_off_by_a_restart_says_so(own_asked_city: AskedCity) -> None:
    store = answering(own_asked_city).jobs
    now = datetime.now(UTC)
    job = Job("12345678-1234-1234-1234-123456789abc", "within", Status.ACCEPTED, "", "raw", now, now)
    held = store._place(job)
    another = Jobs(own_asked_city.settings.home, Computer(own_asked_city.settings.home))
    assert another.job(job.id).status is Status.ACCEPTED
    os.close(held)  # as when its process ends
    found = another.job(job.id)
    assert (found.status, found.message) == (Status.FAILED, RESTARTED)
    assert own_asked_city.get(f"/api/jobs/{job.id}").get_json()["status"] == "failed"
    assert own_asked_city.get(f"/api/jobs/{job.id}/results").status_code == 404


KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from gisservice.web import jobs

def killed(job):
    os.kill(os.getpid(), signal.SIGKILL)

jobs._written, now = killed, datetime.now(UTC)
job = jobs.Job("12345678-1234-1234-1234-123456789abc", "within", jobs.Status.ACCEPTED, "", "raw", now, now)
jobs.Jobs(sys.argv[1], None)._place(job)
"""


def test_what_is_left_of_a_job_whose_maker_was_killed_is_removed_by_whoever_looks_next(tmp_path: Path) -> None:
    made = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert made.returncode == -signal.SIGKILL
    assert {path.name for path in (tmp_path / "jobs").glob("*/held")} == {"held"}
    store = Jobs(tmp_path, Computer(tmp_path))
    assert store.jobs() == []
    assert [path.name for path in (tmp_path / "jobs").iterdir()] == ["lock"]


def test_a_job_that_is_being_made_is_left_alone(tmp_path: Path) -> None:
    store = Jobs(tmp_path, Computer(tmp_path))
    (tmp_path / "jobs" / "new-one").mkdir(parents=True)
    with ThreadPoolExecutor() as others:
        with store._locked():
            looking = others.submit(store.jobs)
            assert not wait([looking], timeout=0.1).done
            (tmp_path / "jobs" / "new-one").rename(tmp_path / "jobs" / "one")
        assert looking.result() == []
    assert (tmp_path / "jobs" / "one").is_dir()


def test_jobs_outlive_their_server(own_asked_city: AskedCity) -> None:
    place = accepted(own_asked_city)
    waited_for(own_asked_city, place)
    content = own_asked_city.get(f"{place}/results").data
    another = Jobs(own_asked_city.settings.home, Computer(own_asked_city.settings.home))
    assert another.result(place.rsplit("/", 1)[1]) == content


def test_jobs_are_bounded_in_number_and_bytes(own_asked_city: AskedCity, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "JOBS_MAX", 3)
    places = []
    for _ in range(5):
        places.append(accepted(own_asked_city))
        waited_for(own_asked_city, places[-1])
    assert len(own_asked_city.get("/api/jobs").get_json()["jobs"]) == 3
    assert own_asked_city.get(places[0]).status_code == 404
    monkeypatch.setattr(jobs_module, "BYTES_MAX", 1)
    last = accepted(own_asked_city)
    waited_for(own_asked_city, last)
    assert len(own_asked_city.get("/api/jobs").get_json()["jobs"]) == 1


def test_oas30_describes_execution(asked_city: AskedCity) -> None:
    definition = asked_city.get("/api/openapi.json").get_json()
    post = definition["paths"]["/api/processes/{process_id}/execution"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Execute"}
    assert set(post["responses"]) >= {"200", "201", "400", "404", "413", "415"}
    assert set(definition["paths"]["/api/jobs/{job_id}"]) == {"get", "delete", "parameters"}
    names = {entry["$ref"].rsplit("/", 1)[1] for entry in definition["paths"]["/api/within"]["get"]["parameters"]}
    known = definition["components"]["parameters"]
    assert {known[name]["name"] for name in names if known[name]["required"]} == {"features", "others"}
    assert {known[name]["name"] for name in names} >= {"features.filter", "others.bbox", "distance_ft", "distance_m"}


def test_nothing_is_left_of_what_was_under_way(
    own_asked_city: AskedCity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder goes with its process, with its backroom when it is killed, and else when the next one is made."""
    scratch = tmp_path / "scratch"
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    other = scratch / "gisservice-of-someone"
    other.mkdir(parents=True)
    computer = Computer(own_asked_city.settings.home)
    room = computer._open().door
    killed = scratch / "gisservice-killed"
    killed.mkdir()
    (killed / "held").touch()  # held by nobody any more
    begun, left = scratch / ".gisservice-begun", scratch / ".gisservice-left"
    begun.mkdir()
    left.mkdir()
    os.utime(left, (0, 0))  # its maker was killed before it held it, long ago
    Scratch()
    assert not left.exists() and begun.exists()
    begun.rmdir()
    assert not killed.exists() and other.exists() and room.scratch.path.exists()
    room.close()
    assert room.started[-1].returncode == 0
    assert [path.name for path in scratch.iterdir()] == [other.name]


def test_what_is_made_once_is_there_before_the_first_question(own_asked_city: AskedCity) -> None:
    asked = answering(own_asked_city)
    asked.prepare()
    dossier = own_asked_city.client.application._service.dossier
    made, room = dict(dossier._walking._spreads), asked.computer._room
    assert made and room is not None
    assert own_asked_city.get("/api/lookup", q="104 Alder St").status_code == 200
    assert own_asked_city.execute("within", **NEAR).status_code == 200
    assert dossier._walking._spreads == made and asked.computer._room is room
