"""What a distribution and its users meet: the installed tree, the library found through pkg-config and
linked both ways, its exported names, its man pages, and the source archive."""

import os
import pathlib
import re
import shutil
import subprocess
import tarfile

import pytest

from peers import tool

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["SOCKEYE_BUILD"])

PROGRAM = """
#include <sockeye/sockeye.h>
#include <stdio.h>
int main(void) {
    struct eye_addr addr;
    struct eye_err err;
    if (eye_addr_parse("[2001:db8:0::1]:80", &addr, &err) < 0)
        return 1;
    char text[EYE_ADDR_TEXT_MAX];
    eye_addr_format(&addr, text, sizeof text);
    eye_loop *loop;
    if (eye_loop_new(NULL, &loop, &err) < 0)
        return 2;
    eye_loop_free(loop);
    return puts(text) < 0;
}
"""


def run(*argv, **options):
    ran = subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, check=False, **options)
    assert ran.returncode == 0, f"{argv}: {ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The tree as `meson install` leaves it under DESTDIR."""
    destdir = tmp_path_factory.mktemp("destdir")
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", destdir)
    return destdir


@pytest.fixture
def pkg_config(installed):
    """pkg_config(*options): what it says about the installed library, as words."""
    program = tool("pkg-config")
    folder = next(installed.rglob("sockeye.pc")).parent
    env = dict(os.environ, PKG_CONFIG_PATH=str(folder), PKG_CONFIG_SYSROOT_DIR=str(installed))
    return lambda *options: run(program, *options, "sockeye", env=env).split()


@pytest.fixture(params=["gcc", "clang"])
def compiled(request, pkg_config, tmp_path):
    """compiled(*link_options, text=...): a program of a user's, built against the installed library."""
    compiler = tool(request.param)
    source = tmp_path / "program.c"

    def build(*link, text=PROGRAM):
        source.write_text(text, encoding="ascii")
        run(compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", *pkg_config("--cflags"),
            source, "-o", tmp_path / "program", *link)
        return tmp_path / "program"
    return build


def test_shared_library(installed, pkg_config, compiled):
    program = compiled(*pkg_config("--libs"))
    folder = next(installed.rglob("libsockeye.so.0")).parent
    assert run(program, env=dict(os.environ, LD_LIBRARY_PATH=str(folder))) == "[2001:db8::1]:80\n"
    assert "libsockeye.so.0" in run("readelf", "-d", program)


def test_static_library(installed, pkg_config, compiled):
    archive = next(installed.rglob("libsockeye.a"))
    # Only it is static: what it needs is not, nor what that needs in its turn.
    needed = [word for word in pkg_config("--print-requires-private") if word[0].isalpha()]
    others = run(tool("pkg-config"), "--libs", *needed).split() if needed else []
    program = compiled(archive, *others, "-pthread", "-lm")
    assert run(program) == "[2001:db8::1]:80\n"
    assert "libsockeye" not in run("readelf", "-d", program)


def test_first_program(compiled, pkg_config):
    """The program on the first page compiles as it stands there."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    compiled(*pkg_config("--libs"), text=re.search(r"^```c\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[1])


def test_version_agrees(pkg_config, installed):
    version, = pkg_config("--modversion")
    assert run(next(installed.rglob("bin/sockeye")), "--version").split()[-1] == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def exported(*options):
    return {line.split()[-1].partition("@")[0] for line in run("nm", "--extern-only", *options).splitlines()
            if len(line.split()) == 3}


def declared():
    """The functions and tables that the public headers declare."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "include/sockeye").glob("*.h"))
    return set(re.findall(r"^EYE_API[^(;]*?(\w+)[(\[]", text, re.MULTILINE))


def test_exported_names(installed):
    """The shared library gives out what the headers declare, and no more."""
    names = exported("--dynamic", "--defined-only", next(installed.rglob("libsockeye.so.0")))
    assert names == declared()


def test_headers_compile_alone(installed, tmp_path):
    """Each header brings what it needs, whichever comes first."""
    include = next(installed.rglob("sockeye/sockeye.h")).parents[1]
    for header in sorted((include / "sockeye").glob("*.h")):
        source = tmp_path / "alone.c"
        source.write_text(f"#include <sockeye/{header.name}>\n", encoding="ascii")
        run("gcc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", "-I", include, source)


def test_man_pages(installed):
    """Every command has its page, and man reads each without a complaint."""
    man = tool("man")
    commands = listed_commands(installed)
    pages = {path.name for path in installed.rglob("man/man*/*")}
    wanted = {"sockeye.1", "sockeye-endpoint.7", *(f"sockeye-{name}.1" for name in commands)}
    assert wanted <= pages
    for path in sorted(installed.rglob("man/man*/*")):
        ran = subprocess.run([man, "--warnings", "-l", path], capture_output=True, check=False,
                             stdin=subprocess.DEVNULL,
                             env=dict(os.environ, MANPAGER="cat", MANWIDTH="80", LC_ALL="C.UTF-8"))
        assert ran.returncode == 0 and not ran.stderr, f"{path.name}: {ran.stderr}"
        assert path.name.rpartition(".")[0].upper().encode() in ran.stdout.upper(), path.name


def listed_commands(installed):
    """The commands that `sockeye help` lists."""
    text = run(next(installed.rglob("bin/sockeye")), "help")
    return re.findall(r"^  (\w+)  ", text, re.MULTILINE)


def test_completions(installed):
    names = {path.relative_to(installed).as_posix() for path in installed.rglob("*") if path.is_file()}
    for wanted in ("bash-completion/completions/sockeye", "_sockeye", "sockeye.fish"):
        assert any(name.endswith(wanted) for name in names), wanted


def test_archive_builds(tmp_path):
    """The source archive of the last commit configures and compiles by itself."""
    archive = tmp_path / "sockeye.tar"
    run(tool("git"), "-C", ROOT, "archive", "--prefix=sockeye/", "-o", archive, "HEAD")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path)
    run("meson", "setup", tmp_path / "build", tmp_path / "sockeye")
    run("meson", "compile", "-C", tmp_path / "build")
    assert shutil.which("sockeye", path=str(tmp_path / "build/cmd"))
