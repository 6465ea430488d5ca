# SPDX-License-Identifier: GPL-3.0-or-later
# moecast model: a config.json, a shipped name, JSON and text, refusals.
. "${srcdir:-.}/tests/test-lib.sh"

field() { # field KEY: its value in the JSON in `out`
	sed -n "s/^ *\"$1\": *\([^,]*\),*\$/\1/p" out
}

# Exit code 2, nothing on stdout, one line on stderr that has the text.
refuses() { # refuses TEXT ARGUMENT...
	text=$1
	shift
	test_expect_code 2 moecast model "$@" >out 2>err &&
	test_cmp /dev/null out &&
	test_grep -F -e "$text" err &&
	test "$(wc -l <err)" -eq 1
}

cat >small.json <<'END'
{"model_type": "qwen3_moe", "hidden_size": 8, "num_hidden_layers": 2,
 "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 10,
 "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 3,
 "intermediate_size": 5, "mlp_only_layers": [0], "torch_dtype": "bfloat16"}
END

# As worked by hand in tests/unit/test_hf_config.c (736 + 288, 144 active), and
# the query and key norms of this family: 2 layers of 2*4.
test_expect_success 'JSON of a config.json' '
	moecast model small.json --json >out &&
	test "$(field name)" = "\"small\"" &&
	test "$(field hidden)" = 8 &&
	test "$(field layers)" = 2 &&
	test "$(field moe_layers)" = 1 &&
	test "$(field experts)" = 4 &&
	test "$(field experts_per_token)" = 2 &&
	test "$(field expert_ffn)" = 3 &&
	test "$(field shared_experts)" = 0 &&
	test "$(field dense_ffn)" = 5 &&
	test "$(field gated)" = true &&
	test "$(field params_total)" = 1040 &&
	test "$(field params_active)" = 896 &&
	test "$(field params_other)" = 752 &&
	test "$(field dtype)" = "\"bf16\""
'

test_expect_success 'text within 80 columns' '
	moecast model small.json >out &&
	test_grep "layers  *2, 1 of them MoE" out &&
	! grep ".\{81\}" out
'

test_expect_success 'a shipped model by name' '
	moecast model mixtral-8x7b --json >out &&
	test "$(field experts)" = 8 &&
	test "$(field expert_ffn)" = 14336 &&
	test "$(field params_total)" = 46702792704
'

# 3 layers, each: experts 4*3*8*5 = 480, 240 of them active; attention
# 4*8*8 = 256; router 8*4 = 32. Other 864, total 2304, active 1584.
test_expect_success 'a model file in YAML with defaults' '
	cat >own.yaml <<-\END &&
	hidden: 8
	layers: 3
	experts: 4
	experts_per_token: 2
	expert_ffn: 5
	END
	moecast model own.yaml --json >out &&
	test "$(field name)" = "\"own\"" &&
	test "$(field moe_layers)" = 3 &&
	test "$(field gated)" = true &&
	test "$(field params_other)" = 864 &&
	test "$(field params_total)" = 2304 &&
	test "$(field params_active)" = 1584
'

test_expect_success 'wrong model files in YAML' '
	printf "hidden: 8\nexpert: 4\n" >typo.yaml &&
	refuses "typo.yaml:2:1: unknown key" typo.yaml &&
	printf "hidden: -8\n" >range.yaml &&
	refuses "range.yaml:1:9: key " range.yaml &&
	printf "hidden: 8\n" >lacks.yaml &&
	refuses "lacks the key" lacks.yaml &&
	printf "[1, 2]\n" >list.yaml &&
	refuses "list.yaml:1:1" list.yaml
'

shared_data=${MOECAST_SHARED:-$srcdir/../shared/data}
test -d "$shared_data/models" || shared_data=$shared_data/data

# What a shipped file says is what the public config.json of it says.
for f in mixtral-8x7b deepseek-v3 qwen3-30b-a3b gpt-oss-20b llama-4-scout
do
	if test -r "$shared_data/models/$f.json"
	then
		test_expect_success "$f as its public file" '
			moecast model "$shared_data/models/$f.json" --json |
				grep -v -e provenance -e dtype >public &&
			moecast model "$f" --json |
				grep -v -e provenance -e dtype >shipped &&
			test_grep params_active public &&
			test_cmp public shipped
		'
	else
		test_skip "$f as its public file" "no $shared_data"
	fi
done

test_expect_success 'a dense model' '
	echo "{\"hidden_size\": 8, \"intermediate_size\": 5}" >dense.json &&
	refuses "no MoE layer: looked for '\''num_local_experts'\''" dense.json
'

test_expect_success 'a truncated file' '
	head -c 60 small.json >cut.json && refuses cut.json:1: cut.json
'

test_expect_success 'a file that lacks a needed key' '
	sed "s/\"hidden_size\": 8,//" small.json >lacks.json &&
	refuses "looked for '\''hidden_size'\'', '\''d_model'\''" lacks.json
'

test_expect_success 'empty, binary, large and missing files' '
	: >empty.json && refuses empty.json empty.json &&
	printf "\177ELF\001\000\377\376" >binary.json &&
	refuses binary.json binary.json &&
	head -c 1048577 /dev/zero >big.json && refuses big.json big.json &&
	refuses nowhere.json ./nowhere.json &&
	mkdir folder.json && refuses folder.json folder.json
'

test_expect_success 'a misspelt shipped name' '
	refuses "did you mean '\''mixtral-8x7b'\''?" mixtral-8x7
'

test_expect_success 'arguments' '
	refuses "model file is missing" &&
	refuses "unexpected argument '\''b'\''" a b &&
	refuses "--set" small.json --set model.hidden=3 &&
	moecast model --help >out && test_grep FILE out
'

test_done
