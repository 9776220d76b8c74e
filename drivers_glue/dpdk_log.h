// DPDK's log, led to stderr and remembered for error messages.
#ifndef TERN_DRIVERS_GLUE_DPDK_LOG_H_
#define TERN_DRIVERS_GLUE_DPDK_LOG_H_

namespace tern {

// From here on DPDK logs to stderr only (by itself it writes to stdout and to syslog), and its last lines are
// kept for TakeDpdkLog. Call before rte_eal_init.
void RouteDpdkLog();

// While one lives, what this thread makes DPDK log is remembered but not shown: for asking a driver what it
// may refuse.
class QuietDpdkLog {
 public:
  QuietDpdkLog();
  ~QuietDpdkLog();
  QuietDpdkLog(const QuietDpdkLog&) = delete;
  QuietDpdkLog& operator=(const QuietDpdkLog&) = delete;
};

}  // namespace tern

#endif  // TERN_DRIVERS_GLUE_DPDK_LOG_H_
