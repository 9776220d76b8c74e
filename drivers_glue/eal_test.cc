#include "drivers_glue/eal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rte_lcore.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "absl/strings/str_join.h"
#include "drivers_glue/glue_env_for_test.h"
#include "drivers_glue/open.h"

namespace tern {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

HostFacts Host(uint64_t free_mib) {
  HostFacts host;
  host.free_hugepage_mib = free_mib;
  host.cpus = {0, 1, 4};
  host.pid = 77;
  return host;
}

std::string Arguments(const EalOptions& options, const HostFacts& host, EalFacts* facts_out = nullptr) {
  std::vector<std::string> arguments;
  EalFacts facts;
  const absl::Status status = BuildEalArguments(options, host, arguments, facts);
  if (facts_out != nullptr) *facts_out = facts;
  return status.ok() ? absl::StrJoin(arguments, " ") : std::string(status.message());
}

TEST(EalArguments, HugePagesAreAnonymousAndShareable) {
  EalFacts facts;
  EXPECT_THAT(
      Arguments({}, Host(1024), &facts),
      AllOf(HasSubstr("--in-memory"), HasSubstr("--single-file-segments"), HasSubstr("--iova-mode=va"),
            HasSubstr("--no-pci"), HasSubstr("--file-prefix tern-77"), Not(HasSubstr("--no-huge"))));
  EXPECT_TRUE(facts.hugepages);
  EXPECT_EQ(facts.notice, "");
}

TEST(EalArguments, WithoutHugePagesAutoGivesWayAndSaysSo) {
  EalFacts facts;
  EXPECT_THAT(Arguments({}, Host(0), &facts), AllOf(HasSubstr("--no-huge"), HasSubstr("--no-shconf"),
                                                    HasSubstr("-m "), Not(HasSubstr("--in-memory"))));
  EXPECT_FALSE(facts.hugepages);
  EXPECT_THAT(facts.notice, HasSubstr("vm.nr_hugepages"));
}

TEST(EalArguments, HugePagesOnIsAnErrorWithoutThem) {
  EalOptions options;
  options.hugepages = HugepageMode::kOn;
  options.memory_mib = 600;
  EXPECT_THAT(Arguments(options, Host(512)),
              AllOf(HasSubstr("512"), HasSubstr("600 MiB are needed: free or add some (as root: sysctl")));
}

TEST(EalArguments, PciNeedsHugePagesAndListsItsDevices) {
  EalOptions options;
  options.pci = {"0000:01:00.0"};
  EXPECT_THAT(Arguments(options, Host(1024)),
              AllOf(HasSubstr("-a 0000:01:00.0"), Not(HasSubstr("--no-pci"))));
  EXPECT_THAT(Arguments(options, Host(0)), AllOf(HasSubstr("0000:01:00.0 needs huge pages"),
                                                 HasSubstr("MiB are needed: add some (as root: sysctl")));
}

TEST(EalArguments, WorkersArePinnedAndTheMainThreadIsNot) {
  EalOptions options;
  options.lcores = {4, 0};
  EXPECT_THAT(Arguments(options, Host(0)), HasSubstr("--lcores 0@(0,1,4),1@4,2@0 --main-lcore 0"));
  options.lcores = {2};
  EXPECT_THAT(Arguments(options, Host(0)),
              AllOf(HasSubstr("CPU 2"), HasSubstr("only 0,1,4: choose among these, or change its affinity")));
  options.lcores.assign(RTE_MAX_LCORE, 0);
  EXPECT_THAT(Arguments(options, Host(0)), HasSubstr("CPUs, but DPDK is built for at most"));
}

TEST(EalArguments, TheUsersOwnComeLast) {
  EalOptions options;
  options.extra = {"--iova-mode=pa"};
  const std::string arguments = Arguments(options, Host(0));
  EXPECT_TRUE(arguments.ends_with("--iova-mode=pa")) << arguments;
}

TEST(Eal, StartsOnceAndSaysWhatDoesNotFit) {
  ASSERT_TRUE(TestEal());
  EXPECT_TRUE(EalStart(TestEalOptions()).ok());
  EalOptions other = TestEalOptions();
  other.hugepages = HugepageMode::kOn;
  EXPECT_THAT(std::string(EalStart(other).message()),
              HasSubstr("the EAL already runs without huge pages: DPDK starts once"));
  other = TestEalOptions();
  other.pci = {"0000:01:00.0"};
  EXPECT_THAT(std::string(EalStart(other).message()),
              HasSubstr("0000:01:00.0: DPDK starts once per process, name every PCI device"));
  other = TestEalOptions();
  other.lcores = {4000};
  EXPECT_THAT(std::string(EalStart(other).message()),
              HasSubstr("lcores = 4000 was asked for: DPDK starts once per process, ask first time round"));
}

TEST(Eal, WorkersAreEalThreads) {
  ASSERT_TRUE(TestEal());
  const size_t last = GetEalFacts().lcores.size() - 1;
  ASSERT_TRUE(EalLaunch(
                  last, [](void*) { return static_cast<int>(rte_lcore_id()); }, nullptr)
                  .ok());
  EXPECT_EQ(EalJoin(last), static_cast<int>(last + 1));
  EXPECT_THAT(std::string(EalLaunch(
                              last + 1, [](void*) { return 0; }, nullptr)
                              .message()),
              HasSubstr("workers; list more CPUs in lcores"));
  static std::atomic<bool> end;
  ASSERT_TRUE(EalLaunch(
                  0,
                  [](void*) {
                    while (!end) std::this_thread::yield();
                    return 0;
                  },
                  nullptr)
                  .ok());
  EXPECT_THAT(std::string(EalLaunch(
                              0, [](void*) { return 0; }, nullptr)
                              .message()),
              HasSubstr("is busy: join what runs on it first"));
  end = true;
  EalJoin(0);
}

// What a process can say once: each in a process of its own, which runs this test alone.
void SayAndExit(const absl::Status& status) {
  std::fprintf(stderr, "said: %s\n", std::string(status.message()).c_str());
  std::exit(0);
}

TEST(EalDeathTest, WhatDoesNotStartIsToldAndNotTriedAgain) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EalOptions wrong = TestEalOptions();
  wrong.extra = {"--no-such-argument"};
  EXPECT_EXIT(SayAndExit(EalStart(wrong)), testing::ExitedWithCode(0), "said: DPDK's EAL does not start \\(");
  EXPECT_EXIT(
      {
        EalStart(wrong).IgnoreError();
        SayAndExit(EalStart(TestEalOptions()));
      },
      testing::ExitedWithCode(0), "can be tried only once: start a new process");
}

TEST(EalDeathTest, WhatWasStoppedDoesNotStartAgain) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        EalStart(TestEalOptions()).IgnoreError();
        EalStop().IgnoreError();
        SayAndExit(EalStart(TestEalOptions()));
      },
      testing::ExitedWithCode(0), "keep it running between stacks, call EalStop only at the end");
}

TEST(EalDeathTest, DevicesWantItFirst) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const char* spec : {"loopback", "vdev:net_null0"}) {
    DeviceOptions options;
    options.spec = spec;
    EXPECT_EXIT(SayAndExit(OpenDevice(options).status()), testing::ExitedWithCode(0),
                "start the EAL \\(EalStart\\) before opening a device");
  }
}

TEST(Eal, LeavesTheCallersAffinityAlone) {
  const HostFacts before = ReadHostFacts();
  ASSERT_TRUE(TestEal());
  EXPECT_EQ(ReadHostFacts().cpus, before.cpus);
}

}  // namespace
}  // namespace tern
