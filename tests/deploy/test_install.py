"""What people install: wheel, sdist and .deb are built and started; units, manual and completion are what runs."""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer.main
import yaml
from typer.testing import CliRunner

from agent.cli.main import app
from agent.config.settings import ConfigError, load
from agent.install.manual import commands, completion, page
from agent.install.service import PLACES, PROGRAMS, RUN, UNITS, deployed, install_service, with_run_folder
from tests.agent.kit.trials import written

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agent", "radio", "sensing", "settlement", "hw_profiles", "sim")
OPTIONAL = {"SoapySDR", "adi", "iio", "gnuradio", "distributed", "pmt"}
"""What a module may need that the wheel does not ask for."""
pytestmark = pytest.mark.feature("U10")


@dataclass
class Built:
    wheel: Path
    sdist: Path
    deb: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Built from a copy of the files that git knows, as they are built for a release."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb here")
    work = tmp_path_factory.mktemp("build")
    source = work / "src"
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in (one.decode() for one in names if one):
        if not name.startswith(("tests/", "docs/", ".ci/")) and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "-o", str(work / "dist"), str(source)],
        check=True,
        capture_output=True,
    )
    wheel = next((work / "dist").glob("*.whl"))
    made = subprocess.run(
        ["sh", str(source / "deploy/deb/build.sh"), str(wheel), str(work / "dist")],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=True,
    )
    return Built(wheel=wheel, sdist=next((work / "dist").glob("*.tar.gz")), deb=Path(made.stdout.strip()))


def started(program: Path, code: Path, folder: Path, *words: str) -> str:
    """Run an unpacked program on this Python's libraries, from a folder that is not the source tree."""
    text = program.read_text().replace("/opt/bandpact", str(code)).replace("/usr/bin/env python3", sys.executable)
    (folder / "bandpact").write_text(text)
    done = subprocess.run(
        ["sh", str(folder / "bandpact"), *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_deb_starts_and_makes_a_trial(built: Built, tmp_path: Path) -> None:
    root = tmp_path / "root"
    subprocess.run(["dpkg-deb", "-x", str(built.deb), str(root)], check=True)
    code = root / "opt/bandpact"
    program, folder = root / "usr/bin/bandpact", tmp_path / "here"
    folder.mkdir()
    written(folder)
    assert re.fullmatch(r"bandpact \d+\.\d+\.\d+\n", started(program, code, folder, "--version"))
    assert "next: hand each node" in started(program, code, folder, "kit", "make", "harbour.toml")
    assert "joined" in started(program, code, folder, "kit", "join", "harbour/kits/alice.kit")
    # It is the packed code that ran, with the packed units.
    words = ("install-service", "alice", "--root", "image", "--program", "/usr/bin/bandpact")
    ran = started(program, code, folder, *words)
    assert "systemctl enable --now bandpact" in ran
    where = "import agent; print(agent.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", where],
        env={"PYTHONPATH": str(code / "app")},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(str(root))
    for unit in UNITS:
        packed = (root / "lib/systemd/system" / unit).read_text()
        assert packed == (folder / "image/etc/systemd/system" / unit).read_text()
    pages = sorted((root / "usr/share/man/man1").glob("*.1.gz"))
    assert len(pages) == len(list(commands())) > 60
    assert gzip.decompress(pages[0].read_bytes()).startswith(b".TH ")
    assert (root / "usr/share/bash-completion/completions/bandpact").read_text() == completion("bash")
    control = subprocess.run(["dpkg-deb", "-f", str(built.deb)], capture_output=True, text=True, check=True).stdout
    assert "Package: bandpact" in control


def test_the_wheel_holds_what_runs_and_the_sdist_what_builds_it(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = set(wheel.namelist())
        scripts = wheel.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "bandpact = agent.cli.main:main" in scripts
    for name in (*UNITS, *PLACES):
        assert f"agent/install/files/{name}" in names
    assert "agent/report/report.html.j2" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]
    with tarfile.open(built.sdist) as sdist:
        inside = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    assert {"pyproject.toml", "deploy/bandpact.service", "agent/cli/main.py", "LICENSE"} <= inside


LOADS_ALL = """
import importlib, pkgutil, sys
failed = []
for room in ("agent", "radio", "sensing", "settlement", "hw_profiles", "sim"):
    package = importlib.import_module(room)
    for one in pkgutil.walk_packages(package.__path__, f"{room}."):
        try:
            importlib.import_module(one.name)
        except ModuleNotFoundError as exc:
            failed.append(f"{one.name} needs {exc.name}")
print("\\n".join(failed + [m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)]))
"""


def test_the_wheel_needs_nothing_of_the_source_tree(built: Built, tmp_path: Path) -> None:
    """Every file that the code reads beside itself is packed, and every module loads from what is."""
    wheel = tmp_path / "wheel"
    with zipfile.ZipFile(built.wheel) as packed:
        packed.extractall(wheel)
    known = subprocess.run(["git", "ls-files", "-z", *ROOMS], cwd=ROOT, capture_output=True, check=True).stdout
    assert [name for name in known.decode().split("\0") if name and not (wheel / name).is_file()] == []
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOADS_ALL],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(wheel)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    missing = {line.rpartition(" needs ")[2] for line in lines if " needs " in line}
    assert missing <= OPTIONAL, lines
    here = [Path(line).relative_to(ROOT) for line in lines if line.startswith(f"{ROOT}/")]
    assert [path for path in here if path.parts[0] != ".venv"] == []


def test_install_service_writes_units_that_run_this_program(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["install-service", "alice", "--root", str(tmp_path), "--program", "/opt/x/bandpact"]
    )
    assert done.exit_code == 0, done.output
    for unit in UNITS:
        text = (tmp_path / "etc/systemd/system" / unit).read_text()
        starts = re.findall(r"^Exec\w+=-?(\S+) (.*)$", text, re.MULTILINE)
        assert starts
        assert all(program == "/opt/x/bandpact" and "/var/lib/bandpact/node.toml" in rest for program, rest in starts)
        assert "BANDPACT_RUN_FOLDER=/run/bandpact" in text
    for name, place in PLACES.items():
        assert (tmp_path / place).read_bytes() == (deployed() / name).read_bytes()
        assert bool((tmp_path / place).stat().st_mode & 0o111) == (name in PROGRAMS)


@pytest.mark.feature("R7")
@pytest.mark.parametrize("active", [True, False])
def test_a_warden_is_stopped_before_the_host_sleeps_and_started_when_it_wakes(tmp_path: Path, active: bool) -> None:
    """While the host sleeps nothing of a node runs, and its radio would go on as it was."""
    said = tmp_path / "said"
    fake = tmp_path / "systemctl"
    fake.write_text(f'#!/bin/sh\necho "$@" >>{said}\n[ "$1" != is-active ] || exit {0 if active else 3}\n')
    fake.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "BANDPACT_SLEPT": str(tmp_path / "slept")}
    for when in ("pre", "post", "post"):
        subprocess.run(["sh", str(deployed() / "bandpact.sleep"), when, "suspend"], env=env, check=True, timeout=30)
    asked = ["is-active --quiet bandpact-warden"]
    moved = ["stop bandpact-warden", "start --no-block bandpact-warden"]
    assert said.read_text().splitlines() == (asked + moved if active else asked)


def test_install_service_refuses_a_folder_that_the_services_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    run = CliRunner().invoke
    assert run(app, ["kit", "make", "harbour.toml"]).exit_code == 0
    assert run(app, ["kit", "join", "harbour/kits/alice.kit"]).exit_code == 0
    done = run(app, ["install-service", "alice", "--program", "/x/bandpact"])
    assert done.exit_code == 1
    assert "--folder /var/lib/bandpact" in done.output


def test_a_nodes_file_is_given_the_run_folder_of_its_services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else `status`, `tx arm` and `stop` look in another folder, and say that the node does not run."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    assert CliRunner().invoke(app, ["kit", "make", "harbour.toml"]).exit_code == 0
    assert CliRunner().invoke(app, ["kit", "join", "harbour/kits/alice.kit"]).exit_code == 0
    config = tmp_path / "alice" / "node.toml"
    before = load(config)
    (file,) = with_run_folder(config)
    config.write_bytes(file.data)
    assert load(config).model_dump() == before.model_dump() | {"run_folder": RUN}
    assert with_run_folder(config) == []


def test_every_command_has_a_page_that_man_reads(tmp_path: Path) -> None:
    for words, command in commands():
        text = page(words, command)
        assert text.startswith(".TH ")
        for one in command.params:
            if one.param_type_name == "option" and not getattr(one, "hidden", False):
                assert one.opts[0].replace("-", "\\-") in text, (words, one.opts)
    if shutil.which("man") is None:
        pytest.skip("no man here: pages were made and not read")
    (tmp_path / "x.1").write_text(page((), typer.main.get_command(app)))
    read = subprocess.run(
        ["man", "--warnings", "-l", str(tmp_path / "x.1")], capture_output=True, text=True, check=True
    )
    assert "bandpact" in read.stdout
    assert read.stderr == ""


def test_a_shell_completes_commands() -> None:
    env = {**os.environ, "_BANDPACT_COMPLETE": "complete_bash", "COMP_WORDS": "bandpact kit j", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "agent.cli.main"], env=env, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout.split() == ["join"]


def test_help_loads_nothing_that_takes_long() -> None:
    """0.3 s is what `--help` may take: what it loads decides that, on any machine."""
    look = (
        "import sys; sys.argv = ['bandpact', '--help']\n"
        "from agent.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted(set('rich numpy scipy numba matplotlib zmq pydantic cryptography'.split()) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_image_copies_what_is_there_and_runs_what_is_a_command() -> None:
    """The image itself is not built here: that needs a daemon and a registry's base image."""
    text = (ROOT / "deploy/oci/Containerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources), line
    known = {words for words, _ in commands()}
    assert re.search(r'CMD \["run"', text)
    compose = yaml.safe_load((ROOT / "deploy/oci/compose.yaml").read_text())
    node = compose["services"]["node"]
    assert (node["command"][0],) in known
    assert (ROOT / "deploy/oci" / node["build"]["context"] / node["build"]["dockerfile"]).is_file()
    assert any("/dev/bus/usb" in device for device in node["devices"])
    # What is mounted belongs to whoever made it: the image's own user could not write there.
    assert node["user"].startswith("${BANDPACT_UID:-")
    assert re.search(r"^ENV .*\bHOME=/var/lib/bandpact", text, re.MULTILINE)


@pytest.mark.feature("U8")
@pytest.mark.parametrize(
    "program", ["bandpact", "/opt/a b/bandpact", "/opt/%h/bandpact", "/opt/\\1", "/x\nUser=root", "/x;y"]
)
def test_a_program_that_a_unit_would_read_otherwise_is_refused_and_nothing_written(
    tmp_path: Path, program: str
) -> None:
    with pytest.raises(ConfigError, match="systemd"):
        install_service(tmp_path / "node", root=tmp_path / "root", command=program)
    assert not (tmp_path / "root").exists()
