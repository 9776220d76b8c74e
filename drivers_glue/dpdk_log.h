// DPDK's log, led to stderr and remembered for error messages.
#ifndef TERN_DRIVERS_GLUE_DPDK_LOG_H_
#define TERN_DRIVERS_GLUE_DPDK_LOG_H_

namespace tern {

// From here on DPDK logs to stderr only (by itself it writes to stdout and to syslog), and its last lines are kept
// for TakeDpdkLog. Call before rte_eal_init.
void RouteDpdkLog();

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_DPDK_LOG_H_
