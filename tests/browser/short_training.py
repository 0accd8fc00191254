"""Runs at the start of every kernel of these tests: an epoch is two batches.

What the trainings of a lesson come to is compared by nbval; here they only have to
run and to show what they show.
"""

from itertools import islice

from inception_edu.training import loop

whole_epoch = loop.batches
loop.batches = lambda split, recipe: islice(whole_epoch(split, recipe), 2)
