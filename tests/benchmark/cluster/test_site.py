import pytest

from cytosuite.benchmark.cluster.site import ClusterSite, read_site
from cytosuite.benchmark.terminal.console import cluster_word
from cytosuite.errors import InputError


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("worker = 3", "worker is not a known key; did you mean 'workers'?"),
        ("workers = 0", "workers: input should be greater than or equal to 1, found 0"),
        ('walltime = "90"', "walltime: must be hours:minutes:seconds, or days-hours:minutes:sec"),
        ('walltime = "00:00:59"', "walltime: must be at least a minute, found '00:00:59'"),
        ('queue = "a; rm"', "queue: must be one word of letters, digits and . _ : / @ % + = , ~ -"),
        ('prologue = ["a\\nb"]', "prologue.0: must be one line, found 'a\\nb'"),
        (
            "memory_gib = 16\nmost_memory_gib = 8",
            "most_memory_gib: must be at least memory_gib, 16",
        ),
        ("workers: 3", "expected TOML, found"),
    ],
)
def test_a_mistake_is_one_line(text, line, tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        read_site(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert line in str(refused.value).replace("\n", "\\n")


def test_words_for_clusters():
    for word in ("local", "slurm", "tcp://node1:8786", "tcp://[::1]:8786"):
        assert cluster_word(word) == word
    assert cluster_word("") is None
    for word in ("Slurm", "tcp://node", "tcp://a b:1", "http://a:1"):
        with pytest.raises(InputError, match="must be local, slurm or tcp://host:port, found"):
            cluster_word(word)


def test_a_site_is_read(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text('workers = 4\nmost_memory_gib = 64\nwalltime = "2-12:00:00"\n')
    found = read_site(path)
    assert (found.workers, found.cores, found.walltime) == (4, 1, "2-12:00:00")
    assert read_site(None) == ClusterSite()
