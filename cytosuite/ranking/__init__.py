"""Ranking of algorithms: schemes, bootstrap, tests and tiers, of a run or of any long table."""

from cytosuite.ranking.ranking import Ranking
from cytosuite.ranking.rule import RankingRules
from cytosuite.ranking.table import rank

__all__ = ["Ranking", "RankingRules", "rank"]
