"""Sets up everything and does one of: run, test, check, bench, shots. Needs only Python and its standard library.

python3 dev.py run [--gpu cuda|vulkan|metal]   the window on a sample project; without a display, the sample from
                                               a PDF to exported questions
python3 dev.py test [PYTEST ARGUMENTS]         the tests (-m slow for the long ones)
python3 dev.py test --gpu vulkan tests/core/engine/test_gpu.py
                                               the offload of layers; on Debian without a graphics card, on Mesa's
                                               software device
python3 dev.py check                           lint, format, types and import rules
python3 dev.py bench NAME                      a benchmark of tests/benchmarks
python3 dev.py shots                           pictures of every panel and dialog, light and dark
"""

from __future__ import annotations  # so that an older Python gets as far as saying what it lacks

import argparse
import ctypes.util
import getpass
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PACKAGING = ROOT / "packaging"
LLAMA = "llama-cpp-python==0.3.36"
GPU_FLAGS = {"cpu": "", "cuda": "-DGGML_CUDA=on", "vulkan": "-DGGML_VULKAN=on", "metal": "-DGGML_METAL=on"}

VULKAN_PACKAGES = ("glslc", "libvulkan-dev", "spirv-headers", "mesa-vulkan-drivers")
VULKAN_HEADER = Path("/usr/include/vulkan/vulkan_core.h")
LEAST_VULKAN = 272  # the VK_HEADER_VERSION that brought VK_EXT_layer_settings, which llama.cpp needs
NEWER_DEBIAN = {"bookworm": "trixie"}  # whose Vulkan headers are new enough
# Mesa's software device counts as a processor, which llama.cpp takes only by its number; its half-precision differs.
SOFTWARE_VULKAN = {"GGML_VK_VISIBLE_DEVICES": "0", "GGML_VK_DISABLE_F16": "1", "GGML_VK_DISABLE_COOPMAT": "1"}

# Shared libraries that Qt opens, and the Debian packages that bring them.
QT_LIBRARIES = {
    "EGL": "libegl1",
    "GL": "libgl1",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
    "glib-2.0": "libglib2.0-0",
    "xkbcommon": "libxkbcommon0",
    "xkbcommon-x11": "libxkbcommon-x11-0",
    "xcb-cursor": "libxcb-cursor0",
    "xcb-icccm": "libxcb-icccm4",
    "xcb-image": "libxcb-image0",
    "xcb-keysyms": "libxcb-keysyms1",
    "xcb-randr": "libxcb-randr0",
    "xcb-render-util": "libxcb-render-util0",
    "xcb-shape": "libxcb-shape0",
    "xcb-xkb": "libxcb-xkb1",
}


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 (whoever has an older one shall read why)
        return fail(f"Elenchus needs Python 3.11 or newer; this is {platform.python_version()}.")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "test", "check", "bench", "shots"])
    parser.add_argument("--gpu", choices=["cuda", "vulkan", "metal"], help="compile llama.cpp for this GPU")
    options, rest = parser.parse_known_args()
    python = set_up(options.gpu or default_backend(), development=options.command != "run")
    if options.gpu == "vulkan" and options.command == "test" and not has_graphics_card():
        os.environ.update(SOFTWARE_VULKAN)
    command = {"run": run, "test": test, "check": check, "bench": bench, "shots": shots}[options.command]
    return command(python, rest)


def default_backend() -> str:
    """Metal on Apple silicon, else the CPU: other GPUs need a toolkit that only the user knows to be there."""
    return "metal" if (platform.system(), platform.machine()) == ("Darwin", "arm64") else "cpu"


def has_graphics_card() -> bool:
    return sys.platform != "linux" or any(Path("/dev/dri").glob("renderD*"))


def run(python: Path, rest: list[str]) -> int:
    """The window on a sample project that is the user's to keep; without a display, the sample from end to end."""
    elenchus = [str(python), "-m", "gui"]
    if has_display():
        project = ROOT / "build" / "window" / "Veyra.elenchus"
        if not project.exists():
            project.parent.mkdir(parents=True, exist_ok=True)
            if code := begin_sample(elenchus, project):
                return code
        say(f"elenchus {short(str(project))}")
        return call([*elenchus, str(project)])
    return run_sample(elenchus, rest)


def begin_sample(elenchus: list[str], project: Path) -> int:
    """A project with the sample document in it."""
    pdfs = [str(path) for path in sorted((ROOT / "resources" / "samples").glob("*.pdf"))]
    return steps(elenchus, ["new", str(project)], ["add", str(project), *pdfs])


def steps(elenchus: list[str], *commands: list[str]) -> int:
    """Runs commands one after the other, and says each; the exit code of the first that fails."""
    for arguments in commands:
        say("elenchus " + " ".join(short(a) for a in arguments))
        if code := call([*elenchus, *arguments]):
            return code
    return 0


def run_sample(elenchus: list[str], rest: list[str]) -> int:
    """The sample: a PDF in, questions with evidence checked, a training set out. Leaves it in build/sample."""
    folder = ROOT / "build" / "sample"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path, out = folder / "sample.elenchus", folder / "questions.jsonl"
    project = str(path)
    if code := begin_sample(elenchus, path) or steps(elenchus, ["ask", project, "--seed", "1", *rest]):
        return code
    shown = subprocess.run([*elenchus, "show", project, "--json"], cwd=ROOT, capture_output=True, check=True)
    examples = [json.loads(line) for line in shown.stdout.splitlines()]
    good = [e for e in examples if all(check["passed"] for check in e["checks"].values())]
    say(f"elenchus review {short(project)} --accept  (the {len(good)} of {len(examples)} that pass every check)")
    if good and (code := call([*elenchus, "review", project, *(str(e["id"]) for e in good), "--accept"])):
        return code
    say(f"elenchus export {short(project)} --format messages --out {short(str(out))}")
    if code := call([*elenchus, "export", project, "--format", "messages", "--out", str(out)]):
        return code
    sys.stdout.buffer.write(out.read_bytes())
    sys.stdout.flush()
    say(f"The project, the export and its dataset card are in {folder.relative_to(ROOT)}")
    return 0


def has_display() -> bool:
    """Whether a window can be shown to somebody."""
    if os.environ.get("CI"):
        return False
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def test(python: Path, rest: list[str]) -> int:
    processes = str((os.cpu_count() or 1) + 1)  # one more than there are cores: many a test waits for a child
    spread = ["-n", processes, "--dist", "loadfile", "--no-loadscope-reorder"]
    if any(argument.startswith("-n") for argument in rest):
        spread = []
    return call([str(python), "-m", "pytest", *spread, *rest], QT_QPA_PLATFORM="offscreen")


def check(python: Path, rest: list[str]) -> int:
    scripts = python.parent
    commands = (
        [str(scripts / "ruff"), "check", "."],
        [str(scripts / "ruff"), "format", "--check", "."],
        [str(scripts / "basedpyright")],
        [str(scripts / "lint-imports")],
    )
    return max(call(command) for command in commands)


def bench(python: Path, rest: list[str]) -> int:
    names = sorted(path.stem for path in (ROOT / "tests" / "benchmarks").glob("[a-z]*.py"))
    if not rest or rest[0] not in names:
        return fail(f"Say which benchmark: {', '.join(names)}.")
    return call([str(python), "-m", f"tests.benchmarks.{rest[0]}", *rest[1:]])


def shots(python: Path, rest: list[str]) -> int:
    return call([str(python), "-m", "tests.shots", *rest], QT_QPA_PLATFORM="offscreen")


def set_up(backend: str, development: bool) -> Path:
    """Makes the virtual environment what the requirements say; returns its Python. Quick when it is already."""
    files = [PACKAGING / "requirements.txt", PACKAGING / "requirements-window.txt"]
    if development:
        files += [PACKAGING / "requirements-train.txt", PACKAGING / "requirements-dev.txt"]
    environment = ROOT / (".venv" if backend == default_backend() else f".venv-{backend}")
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = environment / "elenchus-stamp.json"
    wanted = {path.name: digest(path.read_bytes()) for path in [*files, ROOT / "pyproject.toml"]}
    wanted |= {"llama": f"{LLAMA} {backend} {processor()}", "python": platform.python_version()}
    present = read_stamp(stamp)
    install_system_packages(backend)
    if python.exists() and wanted.items() <= present.items():
        return python
    if present.get("python") != wanted["python"] or not python.exists():
        make_environment(environment)
    stamp.unlink(missing_ok=True)  # what is half made is made anew next time
    wheel = llama_wheel(python, backend)
    say("installing the pinned packages")
    must([*pip(python), "install", *(a for path in files for a in ("-r", str(path)))])
    must([*pip(python), "install", "--no-deps", "--force-reinstall", str(wheel)])
    must([*pip(python), "install", "--no-deps", "--editable", str(ROOT)])
    stamp.write_text(json.dumps(wanted), encoding="utf-8")
    return python


def read_stamp(stamp: Path) -> dict[str, str]:
    try:
        return json.loads(stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def make_environment(environment: Path) -> None:
    say(f"making the virtual environment {environment.name}")
    shutil.rmtree(environment, ignore_errors=True)
    must([sys.executable, "-m", "venv", str(environment)])


def llama_wheel(python: Path, backend: str) -> Path:
    """llama-cpp-python compiled for this processor and GPU; kept in the user's cache, for it takes ten minutes."""
    folder = wheel_folder(backend)
    if not list(folder.glob("*.whl")):
        say(f"compiling llama.cpp for {backend}: about ten minutes on two cores, once")
        with tempfile.TemporaryDirectory() as scratch:
            # pip's own cache knows neither the GPU nor the processor that a wheel was compiled for.
            command = [*pip(python), "wheel", "--no-deps", "--no-cache-dir", "--wheel-dir", scratch, LLAMA]
            headers = newer_vulkan_headers(Path(scratch)) if backend == "vulkan" else ""
            must(command, CMAKE_ARGS=f"{os.environ.get('CMAKE_ARGS', '')} {GPU_FLAGS[backend]} {headers}".strip())
            folder.mkdir(parents=True, exist_ok=True)
            for wheel in Path(scratch).glob("*.whl"):
                shutil.copy(wheel, folder / (wheel.name + ".part"))
                (folder / (wheel.name + ".part")).replace(folder / wheel.name)
    return sorted(folder.glob("*.whl"))[0]


def newer_vulkan_headers(scratch: Path) -> str:
    """What tells cmake of newer Vulkan headers, which are unpacked into `scratch`; nothing where Debian's will do."""
    system = Path("/etc/os-release")
    installed = re.search(r"VK_HEADER_VERSION (\d+)", VULKAN_HEADER.read_text()) if VULKAN_HEADER.exists() else None
    if not system.exists() or installed is None or int(installed[1]) >= LEAST_VULKAN:
        return ""
    codename = dict(line.split("=", 1) for line in system.read_text().splitlines() if "=" in line)["VERSION_CODENAME"]
    if codename not in NEWER_DEBIAN:
        say(f"The Vulkan headers of this system ({installed[1]}) may be too old: llama.cpp needs {LEAST_VULKAN}")
        return ""
    headers = scratch / "headers"
    for package in apt_download(("libvulkan-dev", "spirv-headers"), codename, NEWER_DEBIAN[codename], scratch):
        must(["dpkg", "-x", str(package), str(headers)])
    include = headers / "usr" / "include"
    return f"-DVulkan_INCLUDE_DIR={include} -DCMAKE_CXX_FLAGS=-I{include}"


def apt_download(packages: tuple[str, ...], codename: str, newer: str, scratch: Path) -> list[Path]:
    """Packages of a newer Debian, from where this one's come from; the system's own lists stay as they are."""
    sources = scratch / "sources"
    for folder in (sources, scratch / "lists" / "partial", scratch / "archives" / "partial"):
        folder.mkdir(parents=True)
    for path in (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").iterdir()):
        if path.suffix in (".list", ".sources") and path.exists():
            (sources / path.name).write_text(path.read_text().replace(codename, newer))
    places = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": sources,
        "Dir::State::Lists": scratch / "lists",
        "Dir::Cache": scratch,
        "APT::Sandbox::User": getpass.getuser(),
    }
    apt = ["apt-get", *(part for name, value in places.items() for part in ("-o", f"{name}={value}"))]
    call_quietly([*apt, "update"])  # a source without the newer Debian is no matter
    say(f"fetching {' and '.join(packages)} of {newer}: those of {codename} are too old")
    subprocess.run([*apt, "download", *packages], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    return sorted(scratch.glob("*.deb"))


def wheel_folder(backend: str) -> Path:
    return cache_folder() / "wheels" / f"{LLAMA}-{backend}-{processor()}-{sys.implementation.cache_tag}"


def processor() -> str:
    """A short name for what the processor can do: llama.cpp is compiled for just that."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        features = platform.processor()
    return f"{platform.machine()}-{digest(' '.join(sorted(features.split())).encode())[:8]}"


def cache_folder() -> Path:
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "elenchus" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "elenchus"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "elenchus"


def install_system_packages(backend: str) -> None:
    """On Debian and Ubuntu, what pip cannot bring: installed when this user may, else the one command is said."""
    required = []
    if importlib.util.find_spec("ensurepip") is None:
        required.append(f"python{sys.version_info.major}.{sys.version_info.minor}-venv")
    compilers = ("c++", "g++", "clang++", "cl")
    if not any(map(shutil.which, compilers)) and not list(wheel_folder(backend).glob("*.whl")) and os.name != "nt":
        required.append("g++")
    if not shutil.which("apt-get"):
        if required:
            raise SystemExit(
                fail(f"Something is missing that Debian calls {' and '.join(required)}: install it first.")
            )
        return
    packages = required + [name for library, name in QT_LIBRARIES.items() if not ctypes.util.find_library(library)]
    if backend == "vulkan":
        packages += [name for name in VULKAN_PACKAGES if call_quietly(["dpkg", "-s", name])]
    if packages and not apt_install(packages):
        say(f"Some system packages are missing. Please type:  sudo apt-get install -y {' '.join(packages)}")
        if required:
            raise SystemExit(1)


def apt_install(packages: list[str]) -> bool:
    """Installs Debian packages when this user is root or may become it without a password; whether they are there."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and call_quietly(["sudo", "-n", "true"]):
        return False
    say(f"installing system packages: {' '.join(packages)}")
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    if call_quietly(install) == 0:
        return True
    call([*apt, "update"])
    return call(install) == 0


def pip(python: Path) -> list[str]:
    return [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]


def call(command: list[str], **environment: str) -> int:
    return subprocess.call(command, cwd=ROOT, env=os.environ | environment)


def call_quietly(command: list[str]) -> int:
    try:
        return subprocess.call(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return 1


def must(command: list[str], **environment: str) -> None:
    if code := call(command, **environment):
        raise SystemExit(fail(f"This step failed (exit code {code}): {' '.join(command)}"))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def short(argument: str) -> str:
    """A path below the checkout as a person would type it."""
    return argument.removeprefix(str(ROOT) + os.sep)


def say(sentence: str) -> None:
    print(f"-- {sentence}", file=sys.stderr, flush=True)


def fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
