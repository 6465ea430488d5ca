# SPDX-License-Identifier: GPL-3.0-or-later
# The shipped data, installed as it lies here. Automake knows no wildcards:
# one line for each file; tests/t0001-dist.sh notices a missing one.
gpusdir = $(pkgdatadir)/gpus
clustersdir = $(pkgdatadir)/clusters
modelsdir = $(pkgdatadir)/models
readydir = $(pkgdatadir)
dist_gpus_DATA =
dist_clusters_DATA =
dist_models_DATA =
dist_ready_DATA =
data_files = $(dist_gpus_DATA) $(dist_clusters_DATA) $(dist_models_DATA) \
	$(dist_ready_DATA)

# dist_gpus_DATA += %D%/gpus/h100-sxm.yaml
# dist_clusters_DATA += %D%/clusters/dgx-h100.yaml
# dist_models_DATA += %D%/models/mixtral-8x7b.yaml
# dist_ready_DATA += %D%/default.yaml
