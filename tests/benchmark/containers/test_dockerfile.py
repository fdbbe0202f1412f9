import pytest

from cytosuite.benchmark.catalog.catalog import ROOT
from cytosuite.benchmark.containers.dry_run import mistakes, parse

FILES = {"app/main.py", "app/deep/more.py", "wheels/a-1.whl", "wheels/b-2.whl", "empty"}
GOOD = """# A comment.
ARG START=debian:12
FROM ${START} AS first
ARG KIND=a
COPY wheels/*.whl /wheels/
RUN set -e; \\
    # a comment between
    for file in /wheels/*; do echo "$file" "${KIND}"; done

FROM first
ENV HOME=/tmp \\
    NAME="two words"
COPY --from=first /wheels /wheels
COPY ./app empty/ ${HOME}/app/
WORKDIR ${HOME}
LABEL a.b="\\${HOME}" c=d
USER 1000:1000
ENTRYPOINT ["python3", "-m", "main"]
CMD ["exec"]
"""


def found(text, files=FILES, **arguments):
    return mistakes(text, files, arguments)


def test_a_good_one_has_no_mistake():
    assert found(GOOD) == found(GOOD, START="other", KIND="b") == []


@pytest.mark.parametrize("name", ["Dockerfile", "docker/base.Dockerfile"])
def test_ours_are_read_to_their_ends(name):
    text = (ROOT / name).read_text()
    words = {step.word for step in parse(text)}
    assert {"ARG", "FROM", "COPY", "RUN", "ENV", "USER"} <= words
    lost = found(text, set())
    assert lost
    assert all(line.endswith("is not in the build context") for line in lost)


MISTAKES = """
COPPY a b | unknown instruction COPPY
RUN | RUN without anything behind it
COPY app | expected COPY <source>... <target>, found 'app'
COPY ap /x | ap is not in the build context
COPY wheels/c-*.whl /x/ | wheels/c-*.whl is not in the build context
COPY app*.py /x/ | app*.py is not in the build context
COPY app wheels /x | several files are copied to /x, which must end with /
COPY ["app/none", "/x/"] | app/none is not in the build context
COPY --from=2 /a /b | there is no stage 2 before this one
COPY --from=last /a /b | a stage cannot copy from itself, last
COPY ${ODD}/x /x | COPY uses ODD, which no ARG or ENV declares here
ENV a=${START} | ENV uses START, which no ARG or ENV declares here
ENV a=1 b | expected ENV <name>=<value>, found 'b'
LABEL a='b | LABEL: No closing quotation
ARG a b | expected ARG <name>[=<value>], found 'a b'
FROM a b | expected FROM <image> [AS <name>], found 'a b'
CMD ['exec'] | CMD: expected a JSON list of words in double quotes
SHELL sh -c | SHELL: expected a JSON list of words in double quotes
RUN cat <<END | RUN: options and here-documents need BuildKit
"""


def test_a_mistake_has_its_line_and_reason():
    for row in MISTAKES.strip().splitlines():
        line, mistake = row.split(" | ")
        text = f"ARG START=a\nFROM a AS zero\nFROM ${{START}} AS last\n{line}\n"
        assert [place for place in found(text) if mistake in place] == [f"line 4: {mistake}"]


@pytest.mark.parametrize("script", ["if true; then echo", "a && | b"])
def test_the_shell_reads_scripts_without_running_them(script, tmp_path):
    (line,) = found(f"FROM a\nRUN touch {tmp_path}/ran; {script}\n")
    assert line.startswith("line 2: RUN: ")
    assert "yntax" in line or "nterminated" in line
    assert not (tmp_path / "ran").exists()


def test_a_file_begins_with_a_stage_and_declares_what_the_build_gives():
    assert found("") == ["line 1: expected a stage (FROM), found none"]
    assert "line 1: RUN before the first FROM" in found("RUN a\nFROM b")
    assert found("FROM a\nARG KIND\n", KIND="b", OTHER="c") == [
        "line 1: the build gives OTHER, but no ARG declares it"
    ]


def test_an_argument_ends_with_its_stage():
    text = "FROM a AS one\nARG KIND=x\nUSER ${KIND}\nFROM one\nUSER ${KIND}\nUSER ${HTTP_PROXY}"
    assert found(text) == ["line 5: USER uses KIND, which no ARG or ENV declares here"]


def test_the_given_argument_decides_what_is_copied():
    text = "FROM a\nARG KIND=app\nCOPY ${KIND}/deep /x\n"
    assert found(text) == []
    assert found(text, KIND="wheels") == ["line 3: wheels/deep is not in the build context"]
