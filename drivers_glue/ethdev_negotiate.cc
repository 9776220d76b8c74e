// What tern asks of a port, given what the port can do.
#include <rte_errno.h>
#include <sys/random.h>

#include "absl/strings/str_cat.h"
#include "drivers_glue/ethdev_device.h"

namespace tern {
namespace {

constexpr uint64_t kTcpFlows = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP;
constexpr uint32_t kFrameOverhead = RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN;
constexpr size_t kUsualKeyLength = 40;

// What net_tap offers it does in software, and not right: its sum over a chain is wrong behind a piece of odd
// length; it cuts up IPv4 alone, and compares the pieces, link header included, with the MTU, so that one of
// full size is refused for ever and holds up all behind it. The stack's own work costs no more.
bool OffloadsInSoftware(const std::string& driver) { return driver == "net_tap"; }

bool Has(uint64_t set, uint64_t wanted) { return (set & wanted) == wanted; }

}  // namespace

absl::Status EthdevDevice::NegotiateLimits(const DeviceOptions& options) {
  const int result = rte_eth_dev_info_get(port_, &caps_);
  if (result != 0) return Error(absl::StatusCode::kInternal, "the driver does not describe itself", result);
  info_.driver = caps_.driver_name != nullptr ? caps_.driver_name : "unknown";
  const int socket = rte_eth_dev_socket_id(port_);
  info_.socket = static_cast<uint16_t>(socket < 0 ? 0 : socket);
  const uint16_t most = std::min(caps_.max_rx_queues, caps_.max_tx_queues);
  if (options.queues == 0 || options.queues > most) {
    return absl::InvalidArgumentError(absl::StrCat("device \"", spec_.text, "\": queues = ", options.queues,
                                                   ", but ", info_.driver, " has 1 to ", most,
                                                   ": use fewer workers on it"));
  }
  info_.queue_count = options.queues;

  // Several software drivers report a length limit that they do not have, and ethdev enforces it.
  uint16_t told_mtu = info_.mtu;
  if (caps_.max_rx_pktlen != 0 && caps_.max_rx_pktlen < told_mtu + kFrameOverhead) {
    told_mtu = static_cast<uint16_t>(caps_.max_rx_pktlen - kFrameOverhead);
  }
  if (caps_.max_mtu != 0) told_mtu = std::min(told_mtu, caps_.max_mtu);
  if (told_mtu < info_.mtu && spec_.kind == DeviceKind::kPci) {
    return absl::InvalidArgumentError(absl::StrCat("device \"", spec_.text, "\": mtu = ", info_.mtu,
                                                   " is above the NIC's ", told_mtu, ": lower it"));
  }
  conf_.rxmode.mtu = told_mtu;
  return absl::OkStatus();
}

void EthdevDevice::NegotiateOffloads() {
  const bool software = OffloadsInSoftware(info_.driver);
  const uint64_t rx = software ? 0 : caps_.rx_offload_capa;
  const uint64_t tx =
      software ? caps_.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS : caps_.tx_offload_capa;
  constexpr uint64_t kRxSums = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
  conf_.rxmode.offloads = rx & kRxSums;
  info_.rx_checksum = (rx & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) != 0;

  const uint32_t room = RequiredDataRoom(spec_, info_.mtu);
  // Buffers hold a whole frame, so chains are for drivers that split by headers or merge segments.
  info_.scatter = (rx & RTE_ETH_RX_OFFLOAD_SCATTER) != 0 && info_.mtu + kFrameOverhead > room;
  if (info_.scatter) conf_.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;

  info_.tx_ip_checksum = Has(tx, RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
  info_.tx_tcp_checksum = Has(tx, RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
  max_segments_ = 1;
  if (Has(tx, RTE_ETH_TX_OFFLOAD_MULTI_SEGS)) {
    const rte_eth_desc_lim& limit = caps_.tx_desc_lim;
    const uint16_t per_frame = limit.nb_mtu_seg_max != 0 ? limit.nb_mtu_seg_max : limit.nb_seg_max;
    max_segments_ = per_frame == 0 ? uint16_t{TxFrame::kMaxSlices + 1} : per_frame;
  }
  info_.tso = Has(tx, RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM) &&
              max_segments_ > TxFrame::kMaxSlices;
  uint64_t want = 0;
  if (info_.tx_ip_checksum) want |= RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
  if (info_.tx_tcp_checksum) want |= RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
  if (info_.tso) want |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
  if (max_segments_ > 1) want |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  conf_.txmode.offloads = want;
}

// Only devices with a table of queues spread by Toeplitz; others that claim RSS spread as their kernel or
// peer likes.
void EthdevDevice::NegotiateRss() {
  const uint64_t flows = caps_.flow_type_rss_offloads & kTcpFlows;
  if (info_.queue_count < 2 || flows == 0 || caps_.reta_size == 0) return;
  info_.rss = true;
  info_.rss_key.resize(caps_.hash_key_size != 0 ? caps_.hash_key_size : kUsualKeyLength);
  if (getrandom(info_.rss_key.data(), info_.rss_key.size(), 0) !=
      static_cast<ssize_t>(info_.rss_key.size())) {
    info_.rss = false;
    return;
  }
  conf_.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
  conf_.rxmode.offloads |= caps_.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
  conf_.rx_adv_conf.rss_conf.rss_hf = flows;
  conf_.rx_adv_conf.rss_conf.rss_key = info_.rss_key.data();
  conf_.rx_adv_conf.rss_conf.rss_key_len = static_cast<uint8_t>(info_.rss_key.size());
}

absl::Status EthdevDevice::Configure(const DeviceOptions& options) {
  NegotiateOffloads();
  NegotiateRss();
  // Kernel sockets are waited for through their descriptors; their drivers have no interrupt.
  conf_.intr_conf.rxq = spec_.kind != DeviceKind::kAfPacket && spec_.kind != DeviceKind::kAfXdp ? 1 : 0;
  int result = rte_eth_dev_configure(port_, options.queues, options.queues, &conf_);
  if (result != 0 && conf_.intr_conf.rxq != 0) {
    conf_.intr_conf.rxq = 0;
    result = rte_eth_dev_configure(port_, options.queues, options.queues, &conf_);
  }
  if (result != 0 && info_.rss) {
    // A key of one's own is what drivers refuse first.
    info_.rss = false;
    conf_.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
    conf_.rx_adv_conf = {};
    result = rte_eth_dev_configure(port_, options.queues, options.queues, &conf_);
  }
  if (result != 0)
    return Error(absl::StatusCode::kInvalidArgument, "the driver refuses the configuration", result);
  return absl::OkStatus();
}

// Queues in turn, and then what the driver says: the worker that opens a connection must know where answers
// land.
void EthdevDevice::FixRssTable() {
  if (!info_.rss) return;
  std::vector<rte_eth_rss_reta_entry64> groups((caps_.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1u) /
                                               RTE_ETH_RETA_GROUP_SIZE);
  for (size_t i = 0; i < caps_.reta_size; ++i) {
    rte_eth_rss_reta_entry64& group = groups[i / RTE_ETH_RETA_GROUP_SIZE];
    group.mask |= uint64_t{1} << (i % RTE_ETH_RETA_GROUP_SIZE);
    group.reta[i % RTE_ETH_RETA_GROUP_SIZE] = static_cast<uint16_t>(i % info_.queue_count);
  }
  rte_eth_dev_rss_reta_update(port_, groups.data(), caps_.reta_size);
  rte_eth_rss_conf conf{};
  conf.rss_key = info_.rss_key.data();
  conf.rss_key_len = static_cast<uint8_t>(info_.rss_key.size());
  info_.rss = rte_eth_dev_rss_reta_query(port_, groups.data(), caps_.reta_size) == 0 &&
              rte_eth_dev_rss_hash_conf_get(port_, &conf) == 0;
  if (!info_.rss) return;
  for (size_t i = 0; i < caps_.reta_size; ++i) {
    info_.rss_table.push_back(groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE]);
  }
}

void EthdevDevice::DescribeOffloads() {
  const auto by = [](bool device) { return device ? "device" : "software"; };
  info_.offload_summary = absl::StrCat(
      "rx checksum: ", by(info_.rx_checksum), ", tx IP checksum: ", by(info_.tx_ip_checksum),
      ", tx TCP checksum: ", by(info_.tx_tcp_checksum), ", segmentation: ", info_.tso ? "device" : "stack",
      ", payload: ", max_segments_ > 1 ? "attached" : "copied", ", steering: ", by(info_.rss),
      ", idle: ", info_.rx_interrupt ? "sleeps until receive" : "polls");
}

}  // namespace tern
