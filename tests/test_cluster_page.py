"""docs/cluster.md: its files of a site are read, and its job script is one."""

import re
import subprocess

from house import ROOT

from cytosuite.benchmark.runs.cluster.site import read_cluster

PAGE = (ROOT / "docs/cluster.md").read_text()
BLOCKS = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE).findall(PAGE)


def test_every_site_of_the_page_is_read(tmp_path):
    path = tmp_path / "site.toml"
    for block in (text for kind, text in BLOCKS if kind == "toml"):
        path.write_text(block)
        assert read_cluster(str(path))["interface"]


def test_the_job_script_gives_each_task_of_the_array_its_shard():
    (script,) = (text for kind, text in BLOCKS if kind == "bash")
    dry = script.replace("cd /shared/cytosuite\nmake", "echo make")
    words = {"SLURM_ARRAY_TASK_ID": "3", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["bash", "-c", dry], env=words, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith(" SHARD=3/16\n")
