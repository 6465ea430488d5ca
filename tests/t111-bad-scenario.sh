# SPDX-License-Identifier: GPL-3.0-or-later
# Scenario files that cannot be used: exit code 2, one line on stderr that
# names file, place, key, value and what is allowed, nothing on stdout.
. "${srcdir:-.}/tests/test-lib.sh"

model='model: {hidden: 64, experts: 8, experts_per_token: 2, expert_ffn: 128}'

# refused NAME PATTERN [OPTION...]: `plan` refuses NAME.yaml so.
refused() {
	refused_file=$1.yaml refused_pattern=$2
	shift 2
	test_expect_code 2 moecast plan "$refused_file" "$@" >out 2>err &&
	test_cmp /dev/null out &&
	test "$(wc -l <err)" = 1 &&
	test_grep -e "$refused_pattern" err
}

# bad NAME CLUSTER PATTERN: a file with that cluster section on line 1.
bad() {
	printf '%s\n%s\n' "cluster: $2" "$model" >"$1.yaml" &&
	refused "$1" "$3"
}

test_expect_success 'missing file' '
	refused missing "cannot read .missing.yaml."
'

test_expect_success 'empty file, and one of comments only' '
	: >empty.yaml && refused empty "empty.yaml: is empty" &&
	echo "# nothing" >empty.yaml && refused empty "empty.yaml: is empty"
'

test_expect_success 'directory' '
	mkdir dir.yaml && refused dir "dir.yaml. is a directory"
'

test_expect_success 'binary file' '
	printf "\177ELF\002\001\000\000" >bin.yaml &&
	refused bin "bin.yaml: not a text file"
'

test_expect_success 'file of more than 1 MiB' '
	awk "BEGIN { for (i = 0; i < 150000; i++) print \"#234567\" }" \
		>big.yaml &&
	refused big "big.yaml. has 1200000 bytes, at most 1048576"
'

test_expect_success 'deep nesting' '
	awk "BEGIN { for (i = 0; i < 200000; i++) printf \"[\" }" \
		>deep.yaml &&
	refused deep "deep.yaml:1:33: nested too deeply"
'

test_expect_success 'cyclic alias, and aliases that grow' '
	echo "cluster: &a {nodes: *a}" >cycle.yaml &&
	refused cycle "cycle.yaml:1:10: anchors and tags are not supported" &&
	echo "cluster: *a" >cycle.yaml &&
	refused cycle "cycle.yaml:1:10: aliases are not supported"
'

test_expect_success 'two documents' '
	printf "a: 1\n---\nb: 2\n" >two.yaml &&
	refused two "two.yaml:2:1: more than one document"
'

test_expect_success 'broken YAML' '
	printf "cluster: {nodes: 1\nmodel: x\n" >broken.yaml &&
	refused broken "broken.yaml:2:.*: not valid YAML"
'

test_expect_success 'zero, negative, fractional and missing GPUs' '
	bad a "{nodes: 1, gpus_per_node: 0}" \
		"a.yaml:1:36: key .cluster.gpus_per_node.: .0. is not a whole number" &&
	bad a "{nodes: 1, gpus_per_node: -8}" ": .-8. is not" &&
	bad a "{nodes: 1.5, gpus_per_node: 8}" "a.yaml:1:18: .*: .1.5. is not" &&
	bad a "{nodes: 1}" "a.yaml: key .cluster.gpus_per_node. is missing"
'

test_expect_success 'too many GPUs' '
	bad a "{nodes: 1048576, gpus_per_node: 8, nic: {bandwidth: 1GB/s}}" \
		"1048576 nodes x 8 GPUs are more than 1048576"
'

test_expect_success 'NaN, infinity, overflow' '
	for v in nan .nan .inf 1e999 -1
	do
		bad a "{nodes: 1, gpus_per_node: 1, nic: {bandwidth: $v}}" \
			"a.yaml:1:56: key .cluster.nic.bandwidth.: .$v. is not a rate such as" ||
			exit 1
	done
'

test_expect_success 'wrong type and wrong unit' '
	bad a "{nodes: [1], gpus_per_node: 1}" \
		"key .cluster.nodes.: a list is not a whole number" &&
	bad a "{nodes: {x: 1}, gpus_per_node: 1}" "a mapping is not" &&
	bad a "{nodes: 1, gpus_per_node: 1, nic: {latency: 3GB}}" \
		".3GB. is not a time such as 3us"
'

test_expect_success 'names with a hint' '
	bad a "{nodes: 1, gpus_per_nod: 1}" \
		"a.yaml:1:21: unknown key .cluster.gpus_per_nod. (did you mean .gpus_per_node.?)" &&
	bad a "{nodes: 1, gpus_per_node: 1, gpu: h10-sxm}" \
		"unknown gpu .h10-sxm. (did you mean .h100-sxm.?)" &&
	bad a "dgx-h100-superpd" "(did you mean .dgx-h100-superpod.?)" &&
	bad a "{nodes: 1, gpus_per_node: 1, fabric: {kind: rial}}" \
		"did you mean .rail.?" &&
	refused a "unknown model .mixtral-8x7." --set model=mixtral-8x7
'

test_expect_success 'experts not divisible by ep' '
	cp "$srcdir/scenarios/data/default.yaml" ep.yaml &&
	refused ep "set .layout.ep=3.: key .layout.ep.: 3 neither divides the 8 experts" \
		--set layout.ep=3 &&
	test_grep "multiple of them; the nearest that does is 2$" err
'

test_expect_success 'degrees that do not make the number of GPUs' '
	refused ep "pp 1 x dp 1 x ep 8 x esp 1 is not the number of GPUs, 64" \
		--set "layout={ep: 8, esp: 1, dp: 1}"
'

test_expect_success '--set that is no KEY=VALUE' '
	for v in x = =1 cluster.nodes=
	do
		refused ep "set .$v.: KEY=VALUE was expected" --set "$v" ||
			exit 1
	done
'

test_expect_success 'topo needs a cluster alone: line, name, file' '
	moecast topo "nodes=2(nic=1GB/s) gpu=4" >line &&
	test_grep "^8 GPUs in 2 nodes" line &&
	moecast topo gb200-nvl72 --set cluster.nodes=18 >name &&
	test_grep "^72 GPUs in 18 nodes" name &&
	echo "{nodes: 2, gpus_per_node: 4, nic: {bandwidth: 1GB/s}}" \
		>cluster.yaml &&
	moecast topo cluster.yaml >file &&
	test_cmp line file &&
	test_expect_code 2 moecast topo "nodes=2 gpus=4" 2>err &&
	test_grep "command line: cluster: .gpus. is no word" err
'

test_done
