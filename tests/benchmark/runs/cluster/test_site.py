import pytest
from mistakes import refused

from cytosuite.benchmark.runs.cluster.site import GONE, read_cluster


@pytest.mark.parametrize(
    "text, line",
    [
        *((f"{key} = 1", f": {key} has no meaning any more; write {GONE[key]}") for key in GONE),
        ('kind = "cray"', ": expected address alone, or kind = one of local, slurm, pbs, "),
        ('address = "tcp://a:1"\ncores = 2', ": expected address alone, or kind = one of local"),
        ("cores: 3", ": expected TOML, found"),
    ],
)
def test_a_mistake_in_a_site_is_one_line(text, line, tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(text)
    refused(f"{path}{line}", read_cluster, str(path))


def test_a_cluster_is_a_kind_an_address_or_a_site(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text('kind = "slurm"\ncores = 4\n')
    assert read_cluster(str(path)) == {"kind": "slurm", "cores": 4}
    assert read_cluster("local") == {"kind": "local"}
    assert read_cluster("tls://[::1]:8786") == {"address": "tls://[::1]:8786"}
    refused(r"or site\.toml, found 'Slurm'", read_cluster, "Slurm")
