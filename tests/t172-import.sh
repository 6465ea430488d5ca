# SPDX-License-Identifier: GPL-3.0-or-later
# moecast import: into a database, into cluster files, refusals.
. "${srcdir:-.}/tests/test-lib.sh"

field() { # field KEY: its first value in the JSON in `out`
	sed -n "s/^ *\"$1\": *\(.*[^,]\),*\$/\1/p" out | head -n 1
}

refuses() { # refuses TEXT ARGUMENT...: code 2, one line on stderr with it
	text=$1
	shift
	test_expect_code 2 moecast import "$@" >out 2>err &&
	test_cmp /dev/null out &&
	test_grep -F -e "$text" err &&
	test "$(wc -l <err)" -eq 1
}

# 2 ranks: all-to-all's busbw is half of algbw. 1 MiB / 100 us = 10.49 GB/s.
cat >small.log <<'END'
# nThread 1 nGpus 2 minBytes 1048576 maxBytes 4194304 warmup iters: 5 iters: 20
# Using devices
#  Rank  0 Group  0 Pid 1 on h1 device  0 [0000:1b:00] NVIDIA H200
#  Rank  1 Group  0 Pid 1 on h1 device  1 [0000:43:00] NVIDIA H200
# size count type redop root time algbw busbw #wrong time algbw busbw #wrong
# (B) (elements) (us) (GB/s) (GB/s) (us) (GB/s) (GB/s)
  1048576 262144 float none -1 100.00 10.49 5.24 0 200.00 5.24 2.62 N/A
h1:1:1 [0] NCCL WARN something
  2097152 524288 float none -1 200.00 10.49 5.24 0 400.00 5.24 2.62 N/A
  4194304 1048576 float
END
sed 's/$/\r/; s/^/[1,0]<stdout>: /' small.log >alltoall_small.log

test_expect_success 'a log into a database, once' '
	moecast import nccl-tests alltoall_small.log --db p.db --json >out &&
	test "$(field kind)" = "\"nccl-tests\"" &&
	test "$(field rows)" = 2 &&
	test "$(field samples)" = 4 &&
	test "$(field added)" = 4 &&
	test_grep "\"line\": 8" out &&
	test_grep "\"line\": 10" out &&
	test "$(grep -c "\"why\"" out)" = 2 &&
	moecast import nccl-tests alltoall_small.log --db p.db --json >out &&
	test "$(field rows)" = 2 &&
	test "$(field added)" = 0 &&
	cp alltoall_small.log "another alltoall.log" &&
	moecast import nccl-tests "another alltoall.log" --db p.db >out &&
	test_grep "it has this file already" out &&
	echo "# more" >>alltoall_small.log &&
	moecast import nccl-tests alltoall_small.log --db p.db --json >out &&
	test "$(field added)" = 4
'

test_expect_success 'a log that failed before its first row' '
	sed 5q small.log >failed.log &&
	echo "h1: Test NCCL failure common.cu:958" >>failed.log &&
	moecast import nccl-tests failed.log --db p.db --json >out 2>err &&
	test "$(field rows)" = 0 &&
	test_grep "the test failed" out &&
	test_grep "no row that can be used" err
'

test_expect_success 'a table' '
	printf "op,ranks,bytes,seconds\nalltoall,8,1024,1e-5\nbad,8,1,1\n" >t.csv &&
	moecast import csv t.csv --db p.db >out &&
	test_grep "csv: 1 rows, 1 samples" out &&
	test_grep "line 3: field .op.: unknown op .bad." out
'

cat >topo.txt <<'END'
	GPU0	GPU1	GPU2	GPU3	NIC0	NIC1	CPU Affinity
GPU0	 X 	NV18	NV18	NV18	PIX	SYS	0-7
GPU1	NV18	 X 	NV18	NV18	PIX	SYS	0-7
GPU2	NV18	NV18	 X 	NV18	SYS	PIX	8-15
GPU3	NV18	NV18	NV18	 X 	SYS	PIX	8-15
NIC0	PIX	PIX	SYS	SYS	 X 	SYS
NIC1	SYS	SYS	PIX	PIX	SYS	 X
END

test_expect_success 'nvidia-smi topo -m as a line' '
	moecast import nvidia-smi topo.txt >out &&
	test_grep -F "\"nodes=1 gpu=4(kind=nvswitch)\"" out &&
	test_grep "18 NVLinks a GPU, but not their rate" out
'

# The scenario takes what the file says (4 GPUs, 2 NICs), the data sheet
# (450 GB/s) and --set together.
test_expect_success 'a cluster file that a scenario names' '
	moecast import nvidia-smi topo.txt --set cluster.gpu=h200-sxm \
		--set cluster.nic.bandwidth=400Gb/s -o node.yaml --json >out &&
	test "$(field intra_Bps)" = 450000000000.0 &&
	test "$(field nics_per_node)" = 2 &&
	test_grep "^# 2 NICs, but not their speed" node.yaml &&
	test_grep "^gpu: h200-sxm" node.yaml &&
	moecast topo node.yaml --json >out &&
	test "$(field gpus)" = 4 &&
	cat >scenario.yaml <<-\END &&
	cluster: {base: node.yaml, nodes: 2}
	model: mixtral-8x7b
	END
	moecast topo scenario.yaml --json >out &&
	test "$(field gpus)" = 8 &&
	test "$(field nodes)" = 2
'

# What nobody said must not come out as a number.
test_expect_success 'no speed of a NIC is made up' '
	moecast import nvidia-smi topo.txt --set cluster.gpu=h200-sxm \
		-o node.yaml >out &&
	! grep -A3 "^nic:" node.yaml | grep bandwidth &&
	! grep nic= out &&
	test_expect_code 2 moecast topo scenario.yaml 2>err &&
	test_grep "cluster.nic.bandwidth" err
'

test_expect_success 'keys of the GPU are kept' '
	moecast import nvidia-smi topo.txt --set cluster.gpu=h200-sxm \
		--set cluster.gpu.memory=99GB -o node.yaml >out &&
	test_grep "memory: 99GB" node.yaml &&
	moecast topo node.yaml >out
'

cat >node.xml <<'END'
<system version="1">
 <cpu numaid="0">
  <pci busid="a" class="0x030200" device="0x2330" link_speed="32.0 GT/s PCIe" link_width="16">
   <gpu sm="90"><nvlink target="s" count="18" tclass="0x068000"/></gpu>
  </pci>
  <pci busid="b" class="0x030200" device="0x2330" link_speed="32.0 GT/s PCIe" link_width="16">
   <gpu sm="90"><nvlink target="s" count="18" tclass="0x068000"/></gpu>
  </pci>
  <pci busid="n" class="0x020700"><nic><net name="mlx5_0" speed="400000"/></nic></pci>
 </cpu>
</system>
END

test_expect_success 'an NCCL topology file needs no --set' '
	moecast import nccl-topo node.xml -o node.yaml --json >out &&
	test "$(field gpu)" = "\"h100-sxm\"" &&
	test "$(field intra_Bps)" = 450000000000.0 &&
	test "$(field nic_Bps)" = 50000000000.0 &&
	test_grep "\"skipped\": \[\]" out &&
	moecast topo node.yaml >out &&
	line=$(moecast import nccl-topo node.xml |
		sed -n "s/^cluster: \"\(.*\)\"/\1/p") &&
	moecast topo "$line" >out2 &&
	test_cmp out out2
'

cat >config.json <<'END'
{"model_type": "qwen3_moe", "hidden_size": 8, "num_hidden_layers": 2,
 "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 10,
 "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 3,
 "intermediate_size": 5, "torch_dtype": "bfloat16"}
END

test_expect_success 'files that scenarios name are checked' '
	moecast import model config.json >out &&
	test_grep "nothing to store" out &&
	moecast import config.json config.json --json >out &&
	test "$(field experts)" = 4 &&
	printf "domain,layer_slot,expert,count\nx,0,0,5\nx,0,1,7\n" >c.csv &&
	moecast import routing-counts c.csv --json >out &&
	test "$(field rows)" = 2 &&
	printf "token,layer,e0,e1\n0,0,1,2\n1,0,0,2\n" >t.csv &&
	moecast import routing-trace t.csv --json >out &&
	test "$(field rows)" = 2 &&
	refuses "t.csv:1: the header is not" routing-counts t.csv &&
	echo "2,0,2,2" >>t.csv &&
	refuses "t.csv:4: expert" routing-trace t.csv &&
	echo "x,0,1,7" >>c.csv &&
	refuses "c.csv:4: expert" routing-counts c.csv
'

test_expect_success 'wrong use' '
	refuses "KIND and FILE are missing" &&
	refuses "KIND and FILE are missing" nccl-tests &&
	refuses "unknown kind" nccl-test small.log --db p.db &&
	refuses "did you mean" nccl-test small.log --db p.db &&
	refuses "--db FILE is missing" nccl-tests small.log &&
	refuses "unexpected argument" csv a b &&
	refuses "nowhere.log" nccl-tests nowhere.log --db new.db &&
	refuses "neither the parameters nor a table" nccl-tests topo.txt --db new.db &&
	test_must_fail test -e new.db &&
	refuses "it gives no cluster" nccl-tests small.log --db p.db -o x.yaml &&
	refuses "give --set cluster.gpu=NAME" nvidia-smi topo.txt -o x.yaml &&
	refuses "unknown gpu" nvidia-smi topo.txt --set cluster.gpu=h201 &&
	refuses "unknown key" nvidia-smi topo.txt \
		--set cluster.gpu=h200-sxm --set cluster.gpus=3 &&
	test_must_fail test -e x.yaml
'

shared_data=${MOECAST_SHARED:-$srcdir/../shared/data}

if test -d "$shared_data/nccl-tests"
then
	# as many rows as lines that start with a size
	test_expect_success 'public logs: every row' '
		for f in "$shared_data"/nccl-tests/*.log
		do
			moecast import nccl-tests "$f" --db public.db \
				--json >out &&
			test "$(field rows)" = \
				"$(grep -c "^ *[0-9]" "$f")" &&
			test_grep "\"skipped\": \[\]" out || exit 1
		done
	'
else
	test_skip 'public logs: every row' "no $shared_data/nccl-tests"
fi

test_done
