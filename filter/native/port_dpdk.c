/* Everything DPDK drives: NICs by PCI address and the virtual devices af_xdp, memif, tap, pcap and null.
 *
 * One receive and one transmit queue per port. The wire must stay a wire: promiscuous, all multicast, no
 * offload that touches a frame, pause frames handed up where the NIC can.
 */
#include <net/if.h>
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <string.h>
#include "plane.h"

#define DESCRIPTORS 1024

struct kind { const char *prefix, *device; };
static const struct kind KINDS[] = {{"af_xdp:", "net_af_xdp"}, {"memif:", "net_memif"}, {"tap:", "net_tap"},
                                    {"pcap:", "net_pcap"},     {"null", "net_null"}};

bool port_is_pci(const char *spec) {
  unsigned domain, bus, device, function;
  char rest;
  return sscanf(spec, "%x:%x:%x.%x%c", &domain, &bus, &device, &function, &rest) == 4;
}

/* "FILE" or "rx=FILE,tx=FILE". */
static void pcap_arguments(const char *rest, char *to, size_t bytes) {
  const char *out = strstr(rest, ",tx=");
  if (strncmp(rest, "rx=", 3) == 0) rest += 3;
  int n = out ? (int)(out - rest) : (int)strlen(rest);
  snprintf(to, bytes, "rx_pcap=%.*s,tx_pcap=%s", n, rest, out ? out + 4 : "/dev/null");
}

/* DPDK's arguments of a virtual device. Returns the device's base name or null. */
static const char *device_arguments(const char *spec, char *to, size_t bytes) {
  for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
    size_t n = strlen(KINDS[i].prefix);
    if (strncmp(spec, KINDS[i].prefix, n) != 0) continue;
    const char *rest = spec + n;
    bool abstract = rest[0] == '@';
    if (i == 0) snprintf(to, bytes, "iface=%s,busy_budget=0", rest);
    else if (i == 1) snprintf(to, bytes, "socket=%s,socket-abstract=%s", rest + abstract, abstract ? "yes" : "no");
    else if (i == 2) snprintf(to, bytes, "iface=%s", rest);
    else if (i == 3) pcap_arguments(rest, to, bytes);
    else snprintf(to, bytes, "no-rx=1"); /* else it makes frames of its own */
    return KINDS[i].device;
  }
  return NULL;
}

static int find_device(struct plane *p, struct port *port, const char *spec) {
  char name[64], arguments[2 * RM_SPEC_BYTES];
  if (port_is_pci(spec)) {
    if (rte_eth_dev_get_port_by_name(spec, &port->dpdk) == 0) return 0;
    return plane_fail(p, "DPDK found no such NIC; is it bound to vfio-pci or uio_pci_generic");
  }
  const char *device = device_arguments(spec, arguments, sizeof arguments);
  if (!device) return plane_fail(p, "not a form of port I know");
  snprintf(name, sizeof name, "%s_%u", device, port->role);
  int e = rte_vdev_init(name, arguments[0] ? arguments : NULL);
  if (e < 0) return plane_fail(p, "%s(%s): %s", device, arguments, rte_strerror(-e));
  if (rte_eth_dev_get_port_by_name(name, &port->dpdk) < 0) return plane_fail(p, "%s made no port", device);
  if (strncmp(spec, KINDS[0].prefix, 7) == 0) port->interface = (int)if_nametoindex(spec + 7);
  return 0;
}

static int configure(struct plane *p, struct port *port) {
  struct rte_eth_dev_info info;
  struct rte_eth_conf conf = {0};
  uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS, id = port->dpdk;
  int e = rte_eth_dev_info_get(id, &info);
  if (e < 0) return plane_fail(p, "device info: %s", rte_strerror(-e));
  snprintf(port->view->driver, sizeof port->view->driver, "%s", info.driver_name ? info.driver_name : "?");
  conf.intr_conf.lsc = 0;
  uint32_t mtu = p->board->setup.frame_bytes_max - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;
  if (info.max_mtu && mtu > info.max_mtu) mtu = info.max_mtu;
  conf.rxmode.mtu = mtu < RTE_ETHER_MTU ? RTE_ETHER_MTU : mtu;
  e = rte_eth_dev_configure(id, 1, 1, &conf);
  if (e == -EINVAL || e == -ENOTSUP) { /* drivers that know no MTU take only the default */
    conf.rxmode.mtu = 0;
    e = rte_eth_dev_configure(id, 1, 1, &conf);
  }
  if (e < 0) return plane_fail(p, "configure: %s", rte_strerror(-e));
  rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx, &tx);
  unsigned node = SOCKET_ID_ANY;
  e = rte_eth_rx_queue_setup(id, 0, rx, node, NULL, p->pool);
  if (e < 0) return plane_fail(p, "receive queue: %s", rte_strerror(-e));
  e = rte_eth_tx_queue_setup(id, 0, tx, node, NULL);
  if (e < 0) return plane_fail(p, "transmit queue: %s", rte_strerror(-e));
  e = rte_eth_dev_start(id);
  if (e < 0) return plane_fail(p, "start: %s", rte_strerror(-e));
  return 0;
}

static void pass_pause_frames(uint16_t id) {
  struct rte_eth_fc_conf flow = {0};
  if (rte_eth_dev_flow_ctrl_get(id, &flow) < 0) return;
  flow.mode = RTE_ETH_FC_NONE;
  flow.mac_ctrl_frame_fwd = 1;
  rte_eth_dev_flow_ctrl_set(id, &flow);
}

static void read_link(struct port *port) {
  struct rte_eth_link link = {0};
  if (rte_eth_link_get_nowait(port->dpdk, &link) < 0) return;
  bool up = link.link_status == RTE_ETH_LINK_UP;
  if (port->interface == 0 && up != (port->view->link == 1)) link_set(port->plane, port, up);
}

static int dpdk_open(struct plane *p, struct port *port, const char *spec) {
  struct rte_ether_addr mac;
  uint16_t mtu;
  if (find_device(p, port, spec) < 0 || configure(p, port) < 0) return -1;
  rte_eth_promiscuous_enable(port->dpdk);
  rte_eth_allmulticast_enable(port->dpdk);
  pass_pause_frames(port->dpdk);
  if (rte_eth_macaddr_get(port->dpdk, &mac) == 0) memcpy(port->view->mac, mac.addr_bytes, 6);
  if (rte_eth_dev_get_mtu(port->dpdk, &mtu) == 0) port->view->mtu = mtu;
  struct rte_eth_link link = {0};
  if (rte_eth_link_get_nowait(port->dpdk, &link) < 0) return plane_fail(p, "the driver tells no link state");
  port->view->link = link.link_status == RTE_ETH_LINK_UP;
  return 0;
}

static uint16_t dpdk_receive(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  return rte_eth_rx_burst(port->dpdk, 0, frames, n);
}
static uint16_t dpdk_send(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  return rte_eth_tx_burst(port->dpdk, 0, frames, n);
}

static void dpdk_refresh(struct port *port, uint64_t now) {
  struct rte_eth_stats s;
  (void)now;
  read_link(port);
  if (rte_eth_stats_get(port->dpdk, &s) == 0) port->view->rx_missed = s.imissed + s.ierrors + s.rx_nombuf;
}

static void dpdk_close(struct port *port) {
  rte_eth_dev_stop(port->dpdk);
  rte_eth_dev_close(port->dpdk);
}

const struct port_driver port_dpdk = {"dpdk", dpdk_open, dpdk_receive, dpdk_send, dpdk_refresh, dpdk_close};
