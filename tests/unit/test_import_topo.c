/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Topology files into clusters. Rates by hand: 25 GB/s per NVLink up to sm
 * 90; PCIe 16 GT/s x 16 lanes x 128/130 / 8 = 31.508 GB/s, 2.5 GT/s x 16 x
 * 8/10 / 8 = 4 GB/s; 400000 Mb/s = 50 GB/s.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "scenarios/node_topo.h"
#include "tests/unit/import_help.h"

#define GBps 1e9

static void read_xml(const char *text, struct import *im)
{
	help_read_ok("nccl-topo", "dir/F.xml", text, im);
	assert_true(im->has_cluster);
}

static void read_smi(const char *text, struct import *im)
{
	help_read_ok("nvidia-smi", "F.txt", text, im);
	assert_true(im->has_cluster);
}

#define SWITCH(id) "<pci busid='" id "' class='0x060400' link_speed='16 GT/s'" \
	" link_width='16'>\n"
#define GPU_PCI(id) "<pci busid='" id "' class='0x030200' device='0x2330'" \
	" link_speed='16.0 GT/s PCIe' link_width='16'>\n"
#define GPU_END "</gpu></pci>\n"
#define NIC(id, speed) "<pci busid='" id "' class='0x020700'><nic><net " \
	"name='mlx5_" id "' speed='" speed "'/></nic></pci>\n"

/* Two sockets, one PCIe switch each, with two GPUs and a NIC on it. */
static void switched_node(void **state)
{
	struct import im;

	(void)state;
	read_xml("<system version='1'><cpu numaid='0'>" SWITCH("1")
		 GPU_PCI("g0") "<gpu sm='90'><nvlink target='s0' count='9' "
		 "tclass='0x068000'/><nvlink target='s1' count='9' "
		 "tclass='0x068000'/>" GPU_END
		 GPU_PCI("g1") "<gpu sm='90'><nvlink target='s0' count='18' "
		 "tclass='0x068000'/>" GPU_END NIC("n0", "400000")
		 "</pci></cpu><cpu numaid='1'>" SWITCH("2")
		 GPU_PCI("g2") "<gpu sm='90'><nvlink target='s0' count='18' "
		 "tclass='0x068000'/>" GPU_END NIC("n1", "400000")
		 NIC("n2", "10000") "</pci></cpu></system>", &im);
	assert_int_equal(im.cluster.nodes, 1);
	assert_int_equal(im.cluster.gpus_per_node, 3);
	assert_int_equal(im.cluster.intra.kind, INTRA_NVSWITCH);
	assert_true(im.cluster.intra.bandwidth_Bps == 18 * 25 * GBps);
	assert_int_equal(im.cluster.nic.per_node, 2);
	assert_int_equal(im.cluster.nic.per_gpu, 0);
	assert_true(im.cluster.nic.bandwidth_Bps == 50 * GBps);
	assert_string_equal(im.cluster.gpu.type, "h100-sxm");
	assert_string_equal(im.cluster.provenance,
			    "NCCL topology file 'F.xml'");
	assert_int_equal(im.rows, 3 + 4 + 3);
	assert_int_equal(im.skip.n, 1);
	help_note(&im, 11, "NIC of 1.25GB/s");
	import_release(&im);
}

#define LINK(to, n) "<nvlink target='" to "' count='" #n "' tclass='0x030200'/>"

/* Peers 0-1 and 2-3 (pairs), then all four in a ring of two links (mesh). */
static void direct_links(void **state)
{
	struct import im;

	(void)state;
	read_xml("<system><cpu>" SWITCH("1")
		 GPU_PCI("a") "<gpu sm='80'>" LINK("B", 4) GPU_END
		 GPU_PCI("b") "<gpu sm='80'>" LINK("a", 4) GPU_END
		 GPU_PCI("c") "<gpu sm='80'>" LINK("d", 4) GPU_END "</pci>"
		 GPU_PCI("d") "<gpu sm='80'>" LINK("c", 4) GPU_END
		 "</cpu></system>", &im);
	assert_int_equal(im.cluster.intra.kind, INTRA_NVLINK_PAIRS);
	assert_true(im.cluster.intra.bandwidth_Bps == 100 * GBps);
	assert_true(fabs(im.cluster.intra.pcie_Bps / GBps - 31.508) < 1e-3);
	assert_int_equal(im.cluster.intra.gpus_per_switch, 3);
	assert_int_equal(im.cluster.intra.switches_per_socket, 2);
	help_note(&im, 0, "different numbers of GPUs");
	import_release(&im);
	read_xml("<system><cpu>"
		 GPU_PCI("a") "<gpu sm='70'>" LINK("b", 2) LINK("d", 2) GPU_END
		 GPU_PCI("b") "<gpu sm='70'>" LINK("a", 2) LINK("c", 2) GPU_END
		 GPU_PCI("c") "<gpu sm='70'>" LINK("b", 2) LINK("d", 2) GPU_END
		 GPU_PCI("d") "<gpu sm='70'>" LINK("c", 2) LINK("a", 2)
		 LINK("zz", 1) GPU_END "</cpu></system>", &im);
	assert_int_equal(im.cluster.intra.kind, INTRA_NVLINK_MESH);
	assert_true(im.cluster.intra.bandwidth_Bps == 100 * GBps);
	help_note(&im, 0, "hybrid mesh: 2 of 6 pairs");
	help_note(&im, 8, "nvlink to 'zz'");
	help_note(&im, 0, "no NIC");
	import_release(&im);
}

/* No NVLink in a file that would have it: PCIe. Old generation: 8 of 10. */
static void pcie_node(void **state)
{
	struct import im;

	(void)state;
	read_xml("<system><cpu>"
		 "<pci busid='1' class='0x060400'>"
		 "<pci busid='a' class='0x030000' link_speed='2.5 GT/s' "
		 "link_width='16'><gpu sm='75'/></pci>"
		 "<pci busid='v' class='0x030000'/></pci></cpu><cpu>"
		 "<pci busid='2' class='0x060400'>"
		 "<pci busid='b' class='0x030000' link_speed='2.5 GT/s' "
		 "link_width='16'><gpu sm='75'/></pci></pci></cpu></system>",
		 &im);
	assert_int_equal(im.cluster.gpus_per_node, 2);
	assert_int_equal(im.cluster.intra.kind, INTRA_PCIE);
	assert_true(fabs(im.cluster.intra.pcie_Bps - 4 * GBps) < 1);
	assert_true(im.cluster.intra.bandwidth_Bps == 0);
	assert_int_equal(im.cluster.intra.gpus_per_switch, 1);
	assert_int_equal(im.cluster.intra.switches_per_socket, 1);
	help_note(&im, 1, "without a gpu element");
	import_release(&im);
}

static void second_host_and_strangers(void **state)
{
	struct import im;

	(void)state;
	read_xml("<system><cpu host_hash='0x1'>" GPU_PCI("a") "<gpu sm='90'/>"
		 "</pci></cpu>\n<cpu host_hash='0x2'>" GPU_PCI("b")
		 "<gpu sm='90'/></pci></cpu>\n<xgmi/>"
		 "<pci class='0x010802'/></system>", &im);
	assert_int_equal(im.cluster.gpus_per_node, 1);
	help_note(&im, 3, "cpu of another host");
	help_note(&im, 5, "'xgmi' is not read");
	help_note(&im, 5, "class '0x010802'");
	import_release(&im);
}

static void wrong_xml(void **state)
{
	struct buf deep = { 0 };
	int i;

	(void)state;
	help_refused("nccl-topo", "", "F:1:1: no element found");
	help_refused("nccl-topo", "<system>\n <cpu>\n</system>", "F:3:3: mis");
	help_refused("nccl-topo", "<html/>", "no NCCL topology");
	help_refused("nccl-topo", "<system/>", "no GPU in it");
	help_refused("nccl-topo", "<!DOCTYPE system [<!ENTITY a 'aaaa'>"
		     "<!ENTITY b '&a;&a;&a;&a;'>]><system>&b;</system>",
		     "document type");
	for (i = 0; i < 100000; i++) {
		buf_puts(&deep, i ? "<pci>" : "<system>");
	}
	help_refused("nccl-topo", buf_str(&deep), "nested too deeply");
	buf_clear(&deep);
	buf_puts(&deep, "<system><cpu>");
	for (i = 0; i <= TOPO_GPUS_MAX; i++) {
		buf_puts(&deep, "<pci class='0x030200'/>");
	}
	help_refused("nccl-topo", buf_str(&deep), "too many GPUs");
	buf_release(&deep);
}

/* ---- nvidia-smi topo -m ---- */

static void smi_switch(void **state)
{
	/* underlined header, tabs, CR LF, a prompt before, two NICs */
	static const char text[] =
		"$ nvidia-smi topo -m\r\n"
		"\t\033[4mGPU0\tGPU1\tGPU2\tGPU3\tNIC0\tNIC1\tCPU Affinity\t"
		"NUMA Affinity\tGPU NUMA ID\033[0m\r\n"
		"GPU0\t X \tNV18\tNV18\tNV18\tPIX\tSYS\t0-63\t0\t\tN/A\r\n"
		"GPU1\tNV18\t X \tNV18\tNV18\tNODE\tSYS\t0-63\t0\t\tN/A\r\n"
		"GPU2\tNV18\tNV18\t X \tNV18\tSYS\tPIX\t64-127\t1\t\tN/A\r\n"
		"GPU3\tNV18\tNV18\tNV18\t X \tSYS\tNODE\t64-127\t1\t\tN/A\r\n"
		"NIC0\tPIX\tNODE\tSYS\tSYS\t X \tSYS\t\t\t\t\r\n"
		"NIC1\tSYS\tSYS\tPIX\tNODE\tSYS\t X \t\t\t\t\r\n"
		"\r\nLegend:\r\n\r\n  X    = Self\r\n"
		"  NV#  = Connection traversing a bonded set of # NVLinks\r\n"
		"NIC Legend:\r\n\r\n  NIC0: mlx5_0\r\n  NIC1: mlx5_1\r\n";
	struct import im;

	(void)state;
	read_smi(text, &im);
	assert_int_equal(im.rows, 6);
	assert_int_equal(im.cluster.gpus_per_node, 4);
	assert_int_equal(im.cluster.intra.kind, INTRA_NVSWITCH);
	assert_true(im.cluster.intra.bandwidth_Bps == 0);
	assert_int_equal(im.cluster.nic.per_node, 2);
	assert_string_equal(im.cluster.gpu.type, "");
	help_note(&im, 0, "18 NVLinks a GPU, but not their rate");
	help_note(&im, 0, "2 NICs, but not their speed");
	help_note(&im, 0, "type is not in this file");
	assert_int_equal(im.skip.n, 3);
	import_release(&im);
}

/* Equal small numbers of links are direct: 3 x 4 = 12 of a GPU. */
static void smi_mesh(void **state)
{
	struct import im;

	(void)state;
	read_smi("     GPU0 GPU1 GPU2 GPU3 CPU Affinity\n"
		 "GPU0  X   NV4  NV4  NV4  0-15\nGPU1 NV4   X   NV4  NV4  0-15\n"
		 "GPU2 NV4  NV4   X   NV4  0-15\nGPU3 NV4  NV4  NV4   X\n", &im);
	assert_int_equal(im.cluster.intra.kind, INTRA_NVLINK_MESH);
	help_note(&im, 0, "12 NVLinks a GPU");
	import_release(&im);
	/* two links between some, one between others */
	read_smi("GPU0 GPU1 GPU2\nGPU0 X NV1 NV2\nGPU1 NV1 X NV1\n"
		 "GPU2 NV2 NV1 X\n", &im);
	assert_int_equal(im.cluster.intra.kind, INTRA_NVLINK_MESH);
	help_note(&im, 0, "pairs have 1 to 2 NVLinks");
	import_release(&im);
}

/*
 * Four GPUs on two sockets, two of them on one switch; an old version's SOC;
 * NICs in columns only, by device name.
 */
static void smi_pcie(void **state)
{
	struct import im;

	(void)state;
	read_smi("\tGPU0\tGPU1\tGPU2\tGPU3\tmlx5_0\tib_1\tCPU Affinity\n"
		 "GPU0\t X\tPIX\tSOC\tSOC\tPHB\tSOC\t0-1\n"
		 "GPU1\tPIX\t X\tSOC\tSOC\tPHB\tSOC\t0-1\n"
		 "GPU2\tSOC\tSOC\t X\tPXB\tSOC\tPHB\t2-3\n"
		 "GPU3\tSOC\tSOC\tPXB\t X\tSOC\tPHB\t2-3\n", &im);
	assert_int_equal(im.cluster.intra.kind, INTRA_PCIE);
	assert_int_equal(im.cluster.intra.gpus_per_switch, 2);
	assert_int_equal(im.cluster.intra.switches_per_socket, 1);
	assert_int_equal(im.cluster.nic.per_node, 2);
	help_note(&im, 0, "rate of PCIe is not in this file");
	import_release(&im);
	/* bridges: pairs, far and near */
	read_smi("GPU0 GPU1 GPU2 GPU3\nGPU0 X NV4 NODE SYS\n"
		 "GPU1 NV4 X SYS SYS\nGPU2 NODE SYS X NV4\n"
		 "GPU3 SYS SYS NV4 X\n", &im);
	assert_int_equal(im.cluster.intra.kind, INTRA_NVLINK_PAIRS);
	import_release(&im);
	read_smi("GPU0 GPU1 GPU2 GPU3\nGPU0 X SYS NV4 SYS\n"
		 "GPU1 SYS X SYS NV4\nGPU2 NV4 SYS X SYS\n"
		 "GPU3 SYS NV4 SYS X\n", &im);
	assert_int_equal(im.cluster.intra.kind, INTRA_NVLINK_PAIRS);
	help_note(&im, 0, "GPUs 0 and 1 have no NVLink");
	import_release(&im);
}

static void smi_one_gpu_and_two_matrices(void **state)
{
	struct import im;

	(void)state;
	read_smi("\tGPU0\tCPU Affinity\tNUMA Affinity\nGPU0\t X \t0-7\tN/A\n\n"
		 "\tGPU0\tCPU Affinity\nGPU0\t X \t0-7\n", &im);
	assert_int_equal(im.cluster.gpus_per_node, 1);
	assert_int_equal(im.rows, 1);
	help_note(&im, 4, "second matrix");
	import_release(&im);
}

static void wrong_smi(void **state)
{
	(void)state;
	help_refused("nvidia-smi", "", "no line of columns");
	help_refused("nvidia-smi", "GPU0 X NV1\nGPU1 NV1 X\n", "no line of");
	help_refused("nvidia-smi", "GPU0 GPU1\nGPU0 X NV1\n",
		     "row 'GPU1' is missing");
	help_refused("nvidia-smi", "GPU0 GPU1\nGPU0 X NV1\nGPU1 NV2 X\n",
		     "F:3: GPU1 has 2 NVLinks to GPU0, but line 2 says 1");
	help_refused("nvidia-smi", "GPU0 GPU1\nGPU0 X NV1\nGPU1 SYS X\n",
		     "F:3: GPU1 has 0 NVLinks");
	help_refused("nvidia-smi", "GPU0 GPU1\nGPU0 X NVX\nGPU1 NV2 X\n",
		     "F:2: 'NVX' is no cell for GPU0 and GPU1");
	help_refused("nvidia-smi", "GPU0 GPU1\nGPU0 NV1 X\nGPU1 X NV1\n",
		     "F:2: 'NV1' is no cell for GPU0 and GPU0");
	help_refused("nvidia-smi", "GPU0 GPU1\nGPU0 X NV1\nGPU1 NV1\n",
		     "F:3: row 'GPU1' has 1 cells where 2");
	help_refused("nvidia-smi", "GPU0 GPU0\n", "twice");
	help_refused("nvidia-smi", "GPU0 GPU1\nGPU0 X NV1\nGPU2 NV1 X\n",
		     "row 'GPU2' has no column");
	help_refused("nvidia-smi", "GPU0\nGPU0 X\nGPU0 X\n", "twice");
}

/* ---- as clusters ---- */

/* A cluster from parts, with a GPU, read back from its own YAML and line. */
static void cluster_comes_back(void **state)
{
	static const struct scenario_set sets[] = {
		{ "cluster.gpu=v100-sxm" }, { "cluster.nodes=2" },
		{ "cluster.nic.bandwidth=100Gb/s" },
	};
	struct buf part = { 0 }, yaml = { 0 }, whole = { 0 }, again = { 0 };
	struct scenario s, t;
	struct import im;

	(void)state;
	read_smi("GPU0 GPU1 GPU2 NIC0 NIC1\nGPU0 X NV1 NV2 PIX SYS\n"
		 "GPU1 NV1 X NV1 PIX SYS\nGPU2 NV2 NV1 X SYS PIX\n", &im);
	cluster_print(&im.cluster, CLUSTER_PART, &part);
	assert_string_equal(buf_str(&part), "nodes: 1\ngpus_per_node: 3\n"
			    "intra:\n  kind: nvlink-mesh\nnic:\n"
			    "  per_node: 2\nprovenance: \"nvidia-smi topo -m, "
			    "'F.txt'\"\n");
	assert_int_equal(scenario_parse_cluster(&s, "F", buf_str(&part),
						part.len, sets, 3), ST_OK);
	/* the GPU's data sheet: 6 links of 25 GB/s */
	assert_true(s.cluster.intra.bandwidth_Bps == 150 * GBps);
	assert_true(s.cluster.nic.bandwidth_Bps == 12.5 * GBps);
	cluster_print(&s.cluster, CLUSTER_BY_NAME, &yaml);
	cluster_print(&s.cluster, CLUSTER_WHOLE, &whole);
	assert_non_null(strstr(buf_str(&whole), "\n  sms: 80\n"));
	assert_int_equal(scenario_parse_cluster(&t, "F", buf_str(&yaml),
						yaml.len, NULL, 0), ST_OK);
	cluster_print(&t.cluster, CLUSTER_WHOLE, &again);
	assert_string_equal(buf_str(&whole), buf_str(&again));
	scenario_release(&t);
	assert_int_equal(scenario_parse_cluster(&t, "F", buf_str(&whole),
						whole.len, NULL, 0), ST_OK);
	buf_clear(&again);
	cluster_print(&t.cluster, CLUSTER_WHOLE, &again);
	assert_string_equal(buf_str(&whole), buf_str(&again));
	scenario_release(&t);
	scenario_release(&s);
	import_release(&im);
	buf_release(&part);
	buf_release(&yaml);
	buf_release(&whole);
	buf_release(&again);
}

static void public_files(void **state)
{
	static const struct {
		const char *kind, *file;
		enum intra_kind intra;
		double intra_GBps, nic_GBps;
		int rows, per_gpu, per_node;
	} files[] = {
		{ "nccl-topo", "topology/azure_ndv4-topo.xml",
		  INTRA_NVSWITCH, 0, 0, 16, 1, 0 },
		{ "nccl-topo", "topology/azure_ndv5-topo.xml",
		  INTRA_NVSWITCH, 0, 0, 16, 1, 0 },
		{ "nccl-topo", "topology/oci_H100-topology.xml",
		  INTRA_NVSWITCH, 450, 22.5, 8 + 32 + 16, 2, 0 },
		{ "nvidia-smi", "topology/h200_hgx_8gpu_8nic_epyc9534.txt",
		  INTRA_NVSWITCH, 0, 0, 16, 1, 0 },
		{ "nvidia-smi", "topology/mleng_a100_8gpu_nv12.txt",
		  INTRA_NVSWITCH, 0, 0, 8, 0, 0 },
		{ "nvidia-smi", "topology/v100_dgx1_8gpu_4nic_hybrid_mesh.txt",
		  INTRA_NVLINK_MESH, 0, 0, 12, 0, 4 },
	};
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(files) / sizeof(*files); i++) {
		char *text = help_shared(files[i].file, &len);
		struct import im = { 0 };
		const struct cluster *c = &im.cluster;

		if (!text)
			skip();
		assert_int_equal(import_find(files[i].kind)->read(
			files[i].file, text, len, &im), ST_OK);
		assert_int_equal(c->gpus_per_node, 8);
		assert_int_equal(c->intra.kind, files[i].intra);
		assert_true(c->intra.bandwidth_Bps ==
			    files[i].intra_GBps * GBps);
		assert_true(c->nic.bandwidth_Bps == files[i].nic_GBps * GBps);
		assert_int_equal(c->nic.per_gpu, files[i].per_gpu);
		assert_int_equal(c->nic.per_node, files[i].per_node);
		assert_int_equal(im.rows, files[i].rows);
		import_release(&im);
		free(text);
	}
}

static void fuzzed_files(void **state)
{
	(void)state;
	help_fuzz("nccl-topo", "<system version='1'><cpu numaid='0'>"
		  SWITCH("1") GPU_PCI("g0") "<gpu sm='90'>" LINK("g1", 2)
		  "<nvlink target='s' count='9' tclass='0x068000'/>" GPU_END
		  GPU_PCI("g1") "<gpu sm='90'>" LINK("g0", 2) GPU_END
		  NIC("n0", "400000") "</pci></cpu></system>");
	help_fuzz("nvidia-smi", "\tGPU0\tGPU1\tNIC0\tCPU Affinity\tNUMA\n"
		  "GPU0\t X \tNV18\tPIX\t0-63\t0\n"
		  "GPU1\tNV18\t X \tSYS\t0-63\t0\nNIC0\tPIX\tSYS\t X\n"
		  "\nLegend:\n\n  X    = Self\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(switched_node),
		cmocka_unit_test(direct_links),
		cmocka_unit_test(pcie_node),
		cmocka_unit_test(second_host_and_strangers),
		cmocka_unit_test(wrong_xml),
		cmocka_unit_test(smi_switch),
		cmocka_unit_test(smi_mesh),
		cmocka_unit_test(smi_pcie),
		cmocka_unit_test(smi_one_gpu_and_two_matrices),
		cmocka_unit_test(wrong_smi),
		cmocka_unit_test(cluster_comes_back),
		cmocka_unit_test(public_files),
		cmocka_unit_test(fuzzed_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
