import pytest

from cytosuite.benchmark.cluster.site import ClusterSite, cluster_word, read_site
from cytosuite.errors import InputError


def test_without_a_file_the_usual_settings_hold():
    found = read_site(None)
    assert found == ClusterSite()
    assert (found.cores, found.gpus, found.workers, found.engine) == (1, 0, None, None)


def test_a_site_names_workers_queue_and_job_script(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(
        'workers = 4\ncores = 8\ngpus = 1\nmemory_gib = 16\nmost_memory_gib = 64\nqueue = "gpu"\n'
        'walltime = "2-12:00:00"\nprologue = ["module load apptainer"]\nengine = "apptainer"\n'
        'extra = ["--constraint=a100"]\nscratch = "/scratch"\ninterface = "ib0"\n'
    )
    found = read_site(path)
    assert (found.workers, found.cores, found.gpus) == (4, 8, 1)
    assert (found.memory_gib, found.most_memory_gib, found.walltime) == (16, 64, "2-12:00:00")
    assert found.prologue == ("module load apptainer",)
    assert str(found.scratch) == "/scratch"


def key_is_misspelt():
    """{path}: worker is not a known key; did you mean 'workers'?"""
    return "worker = 3"


def no_worker():
    """{path}: workers: input should be greater than or equal to 1, found 0"""
    return "workers = 0"


def four_cards():
    """{path}: gpus: input should be less than or equal to 1, found 4"""
    return "gpus = 4"


def minutes_alone():
    """{path}: walltime: must be hours:minutes:seconds, or days-hours:minutes:seconds, found '90'"""
    return 'walltime = "90"'


def too_short():
    """{path}: walltime: must be at least a minute, found '00:00:59'"""
    return 'walltime = "00:00:59"'


def two_words():
    """{path}: queue: must be one word of letters, digits and . _ : / @ % + = , ~ -, found 'a; rm'"""
    return 'queue = "a; rm"'


def two_lines():
    """{path}: prologue.0: must be one line, found 'a\\nb'"""
    return 'prologue = ["a\\nb"]'


def small_top():
    """{path}: most_memory_gib: must be at least memory_gib, 16, found 8"""
    return "memory_gib = 16\nmost_memory_gib = 8"


def unknown_engine():
    """engine: input should be 'process', 'docker', 'podman' or 'apptainer', found 'singularity'"""
    return 'engine = "singularity"'


def no_toml():
    """{path}: expected TOML, found"""
    return "workers: 3"


MISTAKES = [
    key_is_misspelt, no_worker, four_cards, minutes_alone, too_short, two_words, two_lines,
    small_top, unknown_engine, no_toml,
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda found: found.__name__)
def test_a_mistake_is_one_line(mistake, tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(mistake())
    with pytest.raises(InputError) as refused:
        read_site(path)
    assert mistake.__doc__.format(path=path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_site(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "word", ["local", "slurm", "tcp://node1:8786", "tls://10.0.0.1:1", "tcp://[::1]:8786"]
)
def test_words_for_clusters(word):
    assert cluster_word(word) == word


def test_no_word_is_no_cluster():
    assert cluster_word(None) is None
    assert cluster_word("") is None


@pytest.mark.parametrize(
    "word", ["pbs", "Slurm", "tcp://node", "node:8786", "tcp://a b:1", "http://a:1"]
)
def test_other_words_are_refused(word):
    with pytest.raises(InputError, match="must be local, slurm or tcp://host:port, found"):
        cluster_word(word)
