/* Everything DPDK drives: NICs by PCI address and the virtual devices af_xdp, memif, tap, pcap and null.
 *
 * The first worker opens a device for all: one receive queue for each worker of the port's side, which a symmetric hash
 * fills, and one transmit queue for every worker or, where there are too few, for each that receives. The wire must stay a wire: promiscuous, all multicast, no
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
#define ASKED_TIMES 200           /* a port's link is asked for so rarely that it takes one part in so many of the time */

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

/* Toeplitz with this key is the same for both directions of a flow (Woo and Park, 2012). */
static void spread(struct rte_eth_conf *conf, const struct rte_eth_dev_info *info) {
  static uint8_t key[64];
  for (size_t i = 0; i < sizeof key; i += 2) key[i] = 0x6d, key[i + 1] = 0x5a;
  conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
  uint8_t bytes = info->hash_key_size && info->hash_key_size <= sizeof key ? info->hash_key_size : 40;
  conf->rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){
      .rss_key = key, .rss_key_len = bytes,
      .rss_hf = (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP) & info->flow_type_rss_offloads};
}

/* How many queues of each kind the device gets. */
static int choose_queues(struct plane *p, struct port *port, const char *spec, const struct rte_eth_dev_info *info) {
  const struct crew *crew = p->crew;
  bool pci = port_is_pci(spec), silent = strncmp(spec, "null", 4) == 0;
  if (crew->queues > 1 && !silent && (!pci || !info->flow_type_rss_offloads || info->max_rx_queues < crew->queues))
    return plane_fail(p, "it cannot spread flows over the %u receive queues that plane.cores = %u needs", crew->queues,
                      crew->workers);
  if (info->max_tx_queues < crew->queues)
    return plane_fail(p, "it has %u transmit queues, plane.cores = %u needs %u", info->max_tx_queues, crew->workers,
                      crew->queues);
  /* A tap wants as many of both kinds, and how many rings a memif has is up to its other end as well. */
  bool for_all = (pci || silent) && info->max_tx_queues >= crew->workers;
  port->tx_queues = (uint16_t)(for_all ? crew->workers : crew->queues);
  return 0;
}

static int make_queues(struct plane *p, struct port *port) {
  uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS, id = port->dpdk;
  unsigned node = SOCKET_ID_ANY;
  rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx, &tx);
  for (uint16_t q = 0; q < p->crew->queues; q++) {
    int e = rte_eth_rx_queue_setup(id, q, rx, node, NULL, p->pool);
    if (e < 0) return plane_fail(p, "receive queue %u: %s", q, rte_strerror(-e));
  }
  for (uint16_t q = 0; q < port->tx_queues; q++) {
    int e = rte_eth_tx_queue_setup(id, q, tx, node, NULL);
    if (e < 0) return plane_fail(p, "transmit queue %u: %s", q, rte_strerror(-e));
  }
  return 0;
}

static int configure(struct plane *p, struct port *port, const char *spec) {
  struct rte_eth_dev_info info;
  struct rte_eth_conf conf = {0};
  uint16_t id = port->dpdk, queues = (uint16_t)p->crew->queues;
  int e = rte_eth_dev_info_get(id, &info);
  if (e < 0) return plane_fail(p, "device info: %s", rte_strerror(-e));
  snprintf(port->view->driver, sizeof port->view->driver, "%s", info.driver_name ? info.driver_name : "?");
  if (choose_queues(p, port, spec, &info) < 0) return -1;
  if (queues > 1) spread(&conf, &info);
  conf.intr_conf.lsc = 0;
  uint32_t mtu = p->board->setup.frame_bytes_max - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;
  if (info.max_mtu && mtu > info.max_mtu) mtu = info.max_mtu;
  conf.rxmode.mtu = mtu < RTE_ETHER_MTU ? RTE_ETHER_MTU : mtu;
  e = rte_eth_dev_configure(id, queues, port->tx_queues, &conf);
  if (e == -EINVAL || e == -ENOTSUP) { /* drivers that know no MTU take only the default */
    conf.rxmode.mtu = 0;
    e = rte_eth_dev_configure(id, queues, port->tx_queues, &conf);
  }
  if (e < 0) return plane_fail(p, "configure: %s", rte_strerror(-e));
  if (make_queues(p, port) < 0) return -1;
  e = rte_eth_dev_start(id);
  memif_open(port, spec, e >= 0);
  if (e < 0 && port->memif.dials) return 0; /* the other end is not there yet, which is a link that is down */
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

static const struct port_driver port_waiting;

/* A memif client is used while its link is up. */
static void follow_link(struct port *port, uint64_t now) {
  const struct port *first = port->first ? port->first : port;
  if (!first->memif.dials) return;
  port->driver = port->view->link ? &port_dpdk : &port_waiting;
  if (!port->first && !port->view->link) memif_follow(port, now);
}

/* A worker without a transmit queue lets the one that receives from the port send for it. */
static void use_queues(struct plane *p, struct port *port, const struct port *first) {
  port->dpdk = first->dpdk;
  port->rx_queue = (uint16_t)p->queue;
  if (first->tx_queues == p->crew->workers) port->tx_queue = (uint16_t)p->index;
  else if (port->receives) port->tx_queue = (uint16_t)p->queue;
  else port->sender = crew_worker(p->crew, role_side(port->role), p->queue);
}

static void wait_for_link(struct port *port, const struct port *first) {
  if (first->memif.dials) port->driver = &port_waiting;
}

static int dpdk_open(struct plane *p, struct port *port, const char *spec) {
  struct rte_ether_addr mac;
  uint16_t mtu;
  if (port->first) return use_queues(p, port, port->first), wait_for_link(port, port->first), 0;
  if (find_device(p, port, spec) < 0 || configure(p, port, spec) < 0) return -1;
  use_queues(p, port, port);
  wait_for_link(port, port);
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
  return rte_eth_rx_burst(port->dpdk, port->rx_queue, frames, n);
}
static uint16_t dpdk_send(struct port *port, struct rte_mbuf **frames, uint16_t n) {
  return rte_eth_tx_burst(port->dpdk, port->tx_queue, frames, n);
}

static void dpdk_refresh(struct port *port, uint64_t now) {
  struct rte_eth_stats s;
  follow_link(port, now);
  if (port->first) return;
  read_link(port);
  if (rte_eth_stats_get(port->dpdk, &s) == 0) port->view->rx_missed = s.imissed + s.ierrors + s.rx_nombuf;
}

/* To ask takes one driver nanoseconds and another a tenth of a millisecond, so who is slow is asked less often. */
static void dpdk_link(struct port *port, uint64_t now) {
  if (port->first || port->interface || now < port->link_due_ns) return;
  uint64_t before = rm_mono_ns();
  read_link(port);
  port->link_due_ns = now + ASKED_TIMES * (rm_mono_ns() - before);
}

static void dpdk_close(struct port *port) {
  if (port->first) return;
  memif_close(port);
  rte_eth_dev_stop(port->dpdk);
  rte_eth_dev_close(port->dpdk);
}

/* Of a device that cannot, the link stays as it is. */
static void dpdk_set_link(struct port *port, bool up) {
  if (port->interface) return interface_set_link(port, up);
  if (up) rte_eth_dev_set_link_up(port->dpdk);
  else rte_eth_dev_set_link_down(port->dpdk);
}

const struct port_driver port_dpdk = {"dpdk", dpdk_open, NULL, dpdk_receive, dpdk_send, dpdk_refresh, dpdk_link,
                                      dpdk_close, dpdk_set_link};

static uint16_t nothing(struct port *port, struct rte_mbuf **frames, uint16_t n) { return (void)port, (void)frames, (void)n, 0; }

/* The same without its link: nothing comes, and nothing is taken. */
static const struct port_driver port_waiting = {"dpdk", dpdk_open, NULL, nothing, nothing, dpdk_refresh, dpdk_link,
                                                 dpdk_close, dpdk_set_link};
