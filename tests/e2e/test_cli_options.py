"""The command line: parser, help, manual pages and completions say the same, and wrong words are
answered with the nearest right one."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest

FLAG, OPTIONAL = "flag", "optional"


def tables_of(binary):
    """What `help --format=json` says: commands by name, the endpoint options, the exit statuses."""
    out = subprocess.run([binary, "help", "--format=json"], check=True, stdin=subprocess.DEVNULL,
                         capture_output=True).stdout
    rows = [json.loads(line) for line in out.splitlines()]
    assert all(row["v"] == 1 for row in rows)
    commands = {row["command"]: row for row in rows if "command" in row}
    rest = {key: value for row in rows if "command" not in row for key, value in row.items()}
    return commands, rest["endpoint_options"], rest["exit_statuses"]


@pytest.fixture
def tables(sockeye):
    return tables_of(sockeye)


def synopsis(option):
    value = f"={option['value']}" if option["value"] else ""
    return f"--{option['name']}" + (f"[{value}]" if option["kind"] == OPTIONAL else value)


def built(*parts):
    """A file that the build made beside the command."""
    folder = os.environ.get("SOCKEYE_BUILD")
    path = pathlib.Path(folder or "", *parts)
    if not folder or not path.exists():
        pytest.skip(f"{'/'.join(parts)} was not built: see SOCKEYE_BUILD, scdoc")
    return path.read_text(encoding="utf-8")


# ---- the agreement ----

def test_help_lists_exactly_the_options(run_sockeye, tables):
    for name, command in tables[0].items():
        result = run_sockeye(name, "--help")
        assert (result.status, result.err) == (0, "")
        text = result.out.decode()
        usage = f"usage: sockeye {name} [OPTION...] {command['arguments']}".rstrip()
        assert text.splitlines()[0] == usage
        listed = re.findall(r"^  (?:-(\w), |    )(--\S+)", text, re.MULTILINE)
        assert listed == [(o.get("letter", ""), synopsis(o)) for o in command["options"]]
        flat = " ".join(text.split())
        for option in command["options"]:
            assert option["help"] in flat
        assert run_sockeye("help", name).out == result.out


def test_overview_lists_every_command(run_sockeye, tables):
    text = run_sockeye("--help").out.decode()
    assert re.findall(r"^  (\w+) +(\S.*)$", text, re.MULTILINE) == [
        (name, command["summary"]) for name, command in tables[0].items()]


def roff_terms(page):
    """The terms of a page's OPTIONS section and the sections' text, without roff's marks."""
    plain = re.sub(r"\\f[BIR]", "", page).replace(r"\-", "-").replace(r"\&", "").replace("\\", "")
    plain = plain.replace("\n.br\n", "\n")
    section = re.search(r"^\.SH OPTIONS\n(.*?)^\.SH", plain, re.MULTILINE | re.DOTALL)
    terms = re.findall(r"^(?:\.PP\n)?(\S[^\n]*)\n\.RS 4\n", section[1], re.MULTILINE) if section else []
    return terms, plain


def test_manual_pages_list_exactly_the_options(tables):
    for name, command in tables[0].items():
        terms, plain = roff_terms(built("docs", "man", f"sockeye-{name}.1"))
        assert terms == [(f"-{o['letter']}, " if "letter" in o else "") + synopsis(o)
                         for o in command["options"]]
        flat = " ".join(plain.split()).lower()
        for option in command["options"]:
            assert " ".join(option["help"].lower().replace("\\", "").split()) + "." in flat
        assert f"sockeye-{name} - {command['summary']}".lower() in flat
        assert f"sockeye {name} [option...] {command['arguments']}".strip().lower() in flat


def test_endpoint_page_lists_exactly_the_options(run_sockeye, tables):
    terms, _ = roff_terms(built("docs", "man", "sockeye-endpoint.7"))
    expected = [o["name"] + (f"={o['value']}" if o["value"] else "") for o in tables[1]]
    assert terms == [f"{term} ({o['schemes']})" for term, o in zip(expected, tables[1])]
    text = run_sockeye("help", "endpoint").out.decode().partition("Options:\n")[2]
    assert re.findall(r"^  (\S+)", text, re.MULTILINE) == expected


def test_main_page_lists_the_exit_statuses(tables):
    _, plain = roff_terms(built("docs", "man", "sockeye.1"))
    section = re.search(r"^\.SH EXIT STATUS\n(.*?)^\.SH", plain, re.MULTILINE | re.DOTALL)[1]
    numbers = re.findall(r"^(\d+|128\+N)$", section, re.MULTILINE)
    assert numbers == ["0", *(str(row["status"]) for row in tables[2]), "128+N"]
    assert [row["status"] for row in tables[2]] == [1, 2, 3, 4, 5, 6, 7, 8, 124]
    assert set(re.findall(r"sockeye-(\w+)\(1\)", plain)) == set(tables[0])


def complete_bash(binary, words):
    """What bash offers for the last of the words, split as bash splits them."""
    script = subprocess.run([binary, "help", "--format=bash"], check=True, capture_output=True,
                            stdin=subprocess.DEVNULL, text=True).stdout
    listed = " ".join(f"'{word}'" for word in words)
    script += f"COMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}\n"
    script += "compopt() { :; }\n_sockeye\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
    out = subprocess.run(["bash", "--norc"], input=script, check=True, capture_output=True, text=True)
    assert out.stderr == ""
    return out.stdout.split()


def test_bash_offers_exactly_the_options(sockeye, tables):
    assert complete_bash(sockeye, ["sockeye", ""]) == [*tables[0], "--help", "--version"]
    for name, command in tables[0].items():
        names = [f"--{option['name']}" for option in command["options"]]
        assert complete_bash(sockeye, ["sockeye", name, "--"]) == names
        letters = [f"-{o['letter']}" for o in command["options"] if "letter" in o]
        assert sorted(complete_bash(sockeye, ["sockeye", name, "-"])) == sorted(names + letters)
        for option in command["options"]:
            if "choices" in option:
                long = f"--{option['name']}"
                assert complete_bash(sockeye, ["sockeye", name, long, "="]) == option["choices"]
                assert complete_bash(sockeye, ["sockeye", name, long, ""]) == option["choices"]
                first = option["choices"][0]
                assert first in complete_bash(sockeye, ["sockeye", name, long, "=", first[:-1]])
    assert complete_bash(sockeye, ["sockeye", "echo", "tc"]) == ["tcp:"]
    # A value that may be left out stands behind = alone: the next word is an endpoint.
    assert "tcp:" in complete_bash(sockeye, ["sockeye", "relay", "--trace", ""])
    assert "tcp:" not in complete_bash(sockeye, ["sockeye", "relay", "--trace", "="])
    assert complete_bash(sockeye, ["sockeye", "help", "endp"]) == ["endpoint"]


def test_zsh_offers_exactly_the_options(run_sockeye, tables):
    text = run_sockeye("help", "--format=zsh").out.decode()
    for name, command in tables[0].items():
        block = re.search(rf"^    {name}\)\n(.*?);;", text, re.MULTILINE | re.DOTALL)[1]
        listed = re.findall(r"^ +(?:'--([\w-]+)=?-?'|'\(-(\w) --([\w-]+)\)'\S+?)'\[", block, re.MULTILINE)
        assert [(long or with_letter, letter) for long, letter, with_letter in listed] == [
            (option["name"], option.get("letter", "")) for option in command["options"]]
        for option in command["options"]:
            assert f"[{option['help']}]" in block.replace("'\\''", "'")
            if "choices" in option:
                assert f":{option['name']}:({' '.join(option['choices'])})" in block


def test_fish_offers_exactly_the_options(run_sockeye, tables):
    text = run_sockeye("help", "--format=fish").out.decode()
    for name, command in tables[0].items():
        lines = [line for line in text.splitlines()
                 if f"'__fish_seen_subcommand_from {name}'" in line and " -l " in line]
        assert [re.search(r" -l (\S+)(?: -s (\S))?", line).groups() for line in lines] == [
            (option["name"], option.get("letter")) for option in command["options"]]
        for line, option in zip(lines, command["options"]):
            assert f"-d '{option['help']}'" in re.sub(r"\\(.)", r"\1", line)
            if "choices" in option:
                assert f"-a '{' '.join(option['choices'])}'" in line


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_valid_scripts(sockeye, tmp_path, shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "script"
    with open(script, "wb") as file:
        subprocess.run([sockeye, "help", f"--format={shell}"], check=True, stdout=file,
                       stdin=subprocess.DEVNULL)
    subprocess.run([shell, "-n", script], check=True)


def test_parser_takes_exactly_the_options(run_sockeye, tables):
    every = sorted({option["name"] for command in tables[0].values() for option in command["options"]})
    for place, (name, command) in enumerate(tables[0].items()):
        own = {option["name"]: option for option in command["options"]}
        foreign = [long for long in every if long not in own]
        for long in foreign[place::len(tables[0])]:  # all of them at every command would be thousands
            result = run_sockeye(name, f"--{long}")
            assert (result.status, result.out) == (2, b"")
            assert f"unknown option '--{long}'" in result.err
        for long in own:
            option = own[long]
            flag = option["kind"] == FLAG
            result = run_sockeye(name, f"--{long}" + {FLAG: "=x", OPTIONAL: "="}.get(option["kind"], ""))
            assert (result.status, result.out) == (2, b"")
            wanted = "takes no value" if flag else f"needs a value: {option['value']}"
            assert result.err == f"sockeye: {name}: --{long} {wanted}\n"


# ---- how options are read ----

def test_every_abbreviation_is_refused(run_sockeye, tables):
    for name, command in tables[0].items():
        names = {option["name"] for option in command["options"]}
        for long in names:
            short = long[:-1]
            result = run_sockeye(name, f"--{short}")
            assert result.status == 2
            assert result.err.startswith(f"sockeye: {name}: unknown option '--{short}'\n")
            if len([other for other in names if other.startswith(short)]) == 1:
                assert result.err.endswith(f"\n  did you mean '--{long}'?\n")


@pytest.mark.parametrize("words", [
    ("--to", "hex", "127.0.0.1"), ("--to=hex", "127.0.0.1"), ("127.0.0.1", "--to", "hex"),
    ("127.0.0.1", "--to=hex"), ("--to=dec", "127.0.0.1", "--to=hex"), ("--to=hex", "--", "127.0.0.1"),
])
def test_an_options_place_and_spelling(run_sockeye, words):
    assert run_sockeye("convert", *words) == (0, b"7f000001\n", "")


def test_bundled_letters(run_sockeye):
    assert run_sockeye("connect", "-qvh") == run_sockeye("connect", "--help")
    result = run_sockeye("connect", "-vX")
    assert (result.status, result.err) == (2, "sockeye: connect: unknown option '-X'\n")


def test_double_dash_ends_the_options(run_sockeye):
    result = run_sockeye("convert", "--to", "hex", "--", "127.0.0.1", "--json", "-1")
    assert (result.status, result.out) == (2, b"7f000001\n")
    assert "'--json' is no address" in result.err and "'-1' is no address" in result.err


def test_a_lone_dash_is_an_argument(run_sockeye):
    assert "'-' is no address" in run_sockeye("convert", "-").err


@pytest.mark.parametrize("words, first_line, hint", [
    (("recieve",), "unknown command 'recieve'", None),
    (("conect",), "unknown command 'conect'", "did you mean 'connect'?"),
    (("resol",), "unknown command 'resol'", "did you mean 'resolve'?"),
    (("help", "ecko"), "help: unknown command 'ecko'", "did you mean 'echo'?"),
    (("echo", "--qiuet"), "echo: unknown option '--qiuet'", "did you mean '--quiet'?"),
    (("echo", "--xyzzy=1"), "echo: unknown option '--xyzzy'", None),
    (("echo", "--engine=epol", "tcp:127.0.0.1:0"), "echo: unknown engine 'epol'",
     "did you mean 'epoll'?"),
    (("convert", "--to=hexx", "1"), "convert: --to takes FORM, not 'hexx'", "did you mean 'hex'?"),
    (("echo", "--grace=5", "tcp:127.0.0.1:0"),
     "echo: --grace takes a duration: 250ms, 5s, 2m, not '5'", None),
    (("listen", "--eof=wait", "tcp:127.0.0.1:0"),
     "listen: --eof takes half|close|wait=DURATION, not 'wait'", None),
    (("relay", "tcp:127.0.0.1:0"),
     "relay: too few arguments: sockeye relay [OPTION...] FROM TO", None),
    (("connect", "tcp:a:1", "tcp:b:2"), "connect: too many arguments, from 'tcp:b:2' on", None),
    (("doctor", "epol"), "doctor: unknown mechanism 'epol'", "did you mean 'epoll'?"),
    (("tour", "999"), "tour: no recipe '999'", None),
])
def test_wrong_words(run_sockeye, words, first_line, hint):
    result = run_sockeye(*words)
    assert (result.status, result.out) == (2, b"")
    lines = result.err.splitlines()
    assert lines[0] == f"sockeye: {first_line}"
    if hint:
        assert lines[1:] == [f"  {hint}"]


def test_engines_offered_are_those_that_exist(run_sockeye, tables):
    rows = [json.loads(line) for line in run_sockeye("doctor", "--json").out.splitlines()]
    existing = {row["name"] for row in rows if row["area"] == "engine"}
    offered = next(o for o in tables[0]["echo"]["options"] if o["name"] == "engine")
    assert set(offered["choices"]) == {"auto"} | existing
    assert offered["value"].split("|") == offered["choices"]


@pytest.mark.parametrize("text, column", [
    ("tcp:h:80,nodelai", 9),
    ("tcp:日本:80,nodelai", 12),  # two columns for each of these
    ("tcp:e\u0301:80,nodelai", 9),  # and none for an accent that combines
    ("unix,mode=0999:/run/a", 10),
])
def test_the_caret_stands_under_the_fault(run_sockeye, text, column):
    result = run_sockeye("echo", text)
    assert result.status == 2
    lines = result.err.splitlines()
    assert lines[0].startswith("sockeye: echo: ") and text in lines[0]
    assert lines[1:3] == [f"  {text}", "  " + " " * column + "^"]


def test_the_caret_counts_what_is_escaped(run_sockeye):
    result = run_sockeye("echo", os.fsdecode(b"unix:/a\x1b[31m\xff\xe2\x80\xae,mode=9"))
    shown, caret = result.err.splitlines()[1:3]
    assert shown == r"  unix:/a\x1b[31m\xff\u{202e},mode=9"
    assert caret.index("^") == shown.index("9")
    assert "\x1b" not in result.err


# ---- without a command, version, and lost output ----

def test_no_arguments_print_the_usage_as_an_error(run_sockeye):
    result = run_sockeye()
    assert (result.status, result.out) == (2, b"")
    assert result.err.startswith("usage: sockeye COMMAND")
    assert run_sockeye("--help").out.decode() == result.err


def test_version(run_sockeye):
    result = run_sockeye("--version")
    assert result.status == 0
    assert re.fullmatch(rb"sockeye \d+\.\d+\.\d+\n", result.out)


def own_name_resolves():
    try:
        return bool(socket.getaddrinfo(socket.gethostname(), None))
    except OSError:
        return False


ANSWERS = [pytest.param(("host",), marks=pytest.mark.skipif(
               not own_name_resolves(), reason="this host's own name does not resolve, which is told too")),
           ("resolve", "127.0.0.1"), ("convert", "1"), ("doctor",), ("help",),
           ("help", "--format=zsh"), ("--version",)]


@pytest.mark.parametrize("words", ANSWERS)
def test_a_full_disk_is_told(run_sockeye, words):
    with open("/dev/full", "wb") as full:
        result = run_sockeye(*words, stdout=full)
    assert result.status == 1
    assert len(result.err.splitlines()) == 1 and "standard output: " in result.err


@pytest.mark.parametrize("words", ANSWERS)
def test_a_reader_that_left_is_told(run_sockeye, words):
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        result = run_sockeye(*words, stdout=write_end)
    finally:
        os.close(write_end)
    assert result.status == 1
    assert len(result.err.splitlines()) == 1 and "standard output: " in result.err


def test_a_closed_standard_output_is_told(start, sockeye):
    process = start("sh", "-c", 'exec "$1" convert 1 >&-', "sh", sockeye)
    assert process.wait() == 1
    assert process.stderr == "sockeye: convert: standard output: bad file descriptor\n"
