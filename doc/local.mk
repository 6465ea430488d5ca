# SPDX-License-Identifier: GPL-3.0-or-later
# Manual pages and documents: one line for each; tests/t0001-dist.sh notices
# a missing one.
dist_man_MANS += %D%/moecast.1
EXTRA_DIST += %D%/architecture.md
EXTRA_DIST += %D%/sections/00-head.md
EXTRA_DIST += %D%/sections/70-search.md
EXTRA_DIST += %D%/sections/20-models.md
EXTRA_DIST += %D%/sections/40-capacity.md
EXTRA_DIST += %D%/sections/50-cost.md
EXTRA_DIST += %D%/sections/60-exec.md
