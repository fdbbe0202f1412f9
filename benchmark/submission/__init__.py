"""Hand in to a challenge platform: archives, their checks, rehearsals, evaluation."""
