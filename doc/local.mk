# SPDX-License-Identifier: GPL-3.0-or-later
# Manual pages and documents: one line for each; tests/t0001-dist.sh notices
# a missing one.
dist_man_MANS += %D%/moecast.1
dist_man_MANS += %D%/moecast-scenario.5
dist_man_MANS += %D%/moecast-run.1
EXTRA_DIST += %D%/architecture.md

# After a change of scenarios/keys.c: the table of moecast-scenario(5) anew.
.PHONY: update-man
update-man: moecast
	@page='$(srcdir)/%D%/moecast-scenario.5'; \
	{ sed '/BEGIN KEYS/q' "$$page" && ./moecast keys --man && \
	  sed -n '/END KEYS/,$$p' "$$page"; } >update-man.tmp && \
	{ cmp -s update-man.tmp "$$page" || cp update-man.tmp "$$page"; }; \
	rm -f update-man.tmp
EXTRA_DIST += %D%/model.md
