# SPDX-License-Identifier: GPL-3.0-or-later
# The shipped data, installed as it lies here. Automake knows no wildcards:
# one line for each file; tests/t0001-dist.sh notices a missing one.
gpusdir = $(pkgdatadir)/gpus
clustersdir = $(pkgdatadir)/clusters
modelsdir = $(pkgdatadir)/models
readydir = $(pkgdatadir)
devicesdir = $(pkgdatadir)/devices
fitsdir = $(pkgdatadir)/profiles
papersdir = $(pkgdatadir)/papers
dist_gpus_DATA =
dist_clusters_DATA =
dist_models_DATA =
dist_ready_DATA =
dist_devices_DATA =
dist_fits_DATA =
dist_papers_DATA =
data_files = $(dist_gpus_DATA) $(dist_clusters_DATA) $(dist_models_DATA) \
	$(dist_ready_DATA) $(dist_devices_DATA) $(dist_fits_DATA) $(dist_papers_DATA)

dist_gpus_DATA += %D%/gpus/a100-40gb.yaml
dist_gpus_DATA += %D%/gpus/a100-80gb.yaml
dist_gpus_DATA += %D%/gpus/a6000.yaml
dist_gpus_DATA += %D%/gpus/ascend-910a.yaml
dist_gpus_DATA += %D%/gpus/b200.yaml
dist_gpus_DATA += %D%/gpus/gb200.yaml
dist_gpus_DATA += %D%/gpus/h100-sxm.yaml
dist_gpus_DATA += %D%/gpus/h200-sxm.yaml
dist_gpus_DATA += %D%/gpus/rtx2080ti.yaml
dist_gpus_DATA += %D%/gpus/v100-sxm.yaml
dist_clusters_DATA += %D%/clusters/dgx-h100-superpod.yaml
dist_clusters_DATA += %D%/clusters/gb200-nvl72.yaml
dist_clusters_DATA += %D%/clusters/hgx-h200-8x400g.yaml
dist_clusters_DATA += %D%/clusters/v100-8x-100g.yaml
dist_models_DATA += %D%/models/dbrx.yaml
dist_models_DATA += %D%/models/deepseek-v2-lite.yaml
dist_models_DATA += %D%/models/deepseek-v3.yaml
dist_models_DATA += %D%/models/gpt-oss-120b.yaml
dist_models_DATA += %D%/models/gpt-oss-20b.yaml
dist_models_DATA += %D%/models/gpt2-xl-moe.yaml
dist_models_DATA += %D%/models/llama-4-scout.yaml
dist_models_DATA += %D%/models/mixtral-8x22b.yaml
dist_models_DATA += %D%/models/mixtral-8x7b.yaml
dist_models_DATA += %D%/models/olmoe.yaml
dist_models_DATA += %D%/models/qwen3-235b-a22b.yaml
dist_models_DATA += %D%/models/qwen3-30b-a3b.yaml
dist_ready_DATA += %D%/default.yaml
dist_ready_DATA += %D%/deepseek-v3-h100.yaml
dist_ready_DATA += %D%/mixtral-v100.yaml
dist_ready_DATA += %D%/qwen3-hgx-h200.yaml
dist_devices_DATA += %D%/devices/nvidia.yaml

# made by moecast db --load profiles/data/NAME.jsonl --fits; tests/t177
dist_fits_DATA += %D%/profiles/h200-x2.fit.json

# what papers report, for moecast reproduce
dist_papers_DATA += %D%/papers/fsmoe.yaml
dist_papers_DATA += %D%/papers/hetumoe.yaml
dist_papers_DATA += %D%/papers/locmoe.yaml
dist_papers_DATA += %D%/papers/lsh-moe.yaml
dist_papers_DATA += %D%/papers/luffy.yaml
dist_ready_DATA += %D%/fsmoe-testbed-b.yaml
dist_ready_DATA += %D%/order-sharded.yaml
dist_ready_DATA += %D%/flowmoe-2080ti.yaml
dist_ready_DATA += %D%/hetumoe-one-nic.yaml
dist_ready_DATA += %D%/lsh-moe-v100.yaml
dist_ready_DATA += %D%/luffy-v100.yaml
dist_ready_DATA += %D%/locmoe-ascend.yaml
dist_ready_DATA += %D%/shadowing-hot-expert.yaml
dist_ready_DATA += %D%/gates-skewed.yaml %D%/topology-two-nodes.yaml
dist_ready_DATA += %D%/janus-small-experts.yaml
dist_gpus_DATA += %D%/gpus/titan-rtx.yaml
dist_ready_DATA += %D%/hetumoe-switch.yaml
dist_clusters_DATA += %D%/clusters/a100-8x-200g.yaml
dist_ready_DATA += %D%/locmoe-pangu.yaml %D%/locmoe-switch.yaml
dist_ready_DATA += %D%/locmoe-switch.csv
dist_gpus_DATA += %D%/gpus/v100-pcie.yaml
dist_clusters_DATA += %D%/clusters/v100-pcie-8x-100g.yaml
