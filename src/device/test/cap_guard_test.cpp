#include <csignal>
#include <string>
#include <thread>

#include "child_processes.hpp"
#include "fake_driver.hpp"
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perwatt/device/power_cap.hpp"

namespace perwatt::device {
namespace {

using test::FakeDriver;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// A process that lowers caps, in a process group of its own.
class Victim {
 public:
  Victim(const std::string& cap_watts, const std::string& then) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setpgid(0, 0);
      ::dup2(ends[1], STDOUT_FILENO);
      ::execl(PERWATT_CAP_VICTIM, PERWATT_CAP_VICTIM, cap_watts.c_str(), then.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    output_ = ends[0];
  }

  ~Victim() { ::close(output_); }

  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;

  std::string line() {
    std::string text;
    for (char c = 0; ::read(output_, &c, 1) == 1 && c != '\n';) {
      text += c;
    }
    return text;
  }

  void signal_group(int signal) const { ::kill(-pid_, signal); }

  void signal(int signal) const { ::kill(pid_, signal); }

  int wait() const {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    return status;
  }

  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
  int output_ = -1;
};

bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

bool stand_again(const FakeDriver& driver) {
  return comes_true([&] {
    return driver.value("0 limit_mw") == "700000" && driver.value("1 limit_mw") == "500000";
  });
}

TEST(CapGuard, RestoresWhateverEndsTheProcess) {
  for (const int signal : {SIGKILL, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT}) {
    const FakeDriver driver{test::two_boards()};
    Victim victim{"300", "wait"};
    ASSERT_EQ(victim.line(), "lowered");
    ASSERT_EQ(driver.value("0 limit_mw"), "300000");
    ASSERT_EQ(driver.value("1 limit_mw"), "300000");
    victim.signal_group(signal);
    EXPECT_TRUE(WIFSIGNALED(victim.wait())) << signal;
    EXPECT_TRUE(stand_again(driver)) << "signal " << signal;
  }
}

TEST(CapGuard, RestoresOnReturnAndOnRequest) {
  for (const std::string then : {"return", "restore"}) {
    const FakeDriver driver{test::two_boards()};
    const Victim victim{"300", then};
    EXPECT_EQ(victim.wait(), 0) << then;
    EXPECT_EQ(driver.value("0 limit_mw"), "700000") << then;
    EXPECT_EQ(driver.value("1 limit_mw"), "500000") << then;
    EXPECT_EQ(driver.value("0 set_with_v2"), "1") << then;  // it had been lowered
  }
}

TEST(CapGuard, OnlyLowers) {
  const FakeDriver driver{test::two_boards()};
  const auto control = nvml_cap_control();
  ASSERT_TRUE(control.ok());
  auto guard = CapGuard::start(*control.value());
  ASSERT_TRUE(guard.ok()) << guard.reason();
  const auto lowered = guard.value()->lower_to(watts(600));
  ASSERT_TRUE(lowered.ok()) << lowered.reason();
  EXPECT_EQ(lowered.value(), watts(600));
  EXPECT_EQ(driver.value("0 limit_mw"), "600000");
  EXPECT_EQ(driver.value("1 limit_mw"), "500000");
  // Up again, but not above what stood.
  ASSERT_TRUE(guard.value()->lower_to(watts(650)).ok());
  EXPECT_EQ(driver.value("0 limit_mw"), "650000");
  EXPECT_EQ(driver.value("1 limit_mw"), "500000");
  EXPECT_THAT(guard.value()->restore(), IsEmpty());
  EXPECT_EQ(driver.value("0 limit_mw"), "700000");
}

TEST(CapGuard, RefusesWhatADeviceDoesNotTakeBeforeItSetsAny) {
  const FakeDriver driver{
      "gpus 2\n0 bounds_mw 100000 700000\n0 default_mw 700000\n"
      "0 limit_mw 700000\n0 power_mw 1\n1 bounds_mw 200000 700000\n"
      "1 default_mw 700000\n1 limit_mw 700000\n1 power_mw 1\n"};
  const auto control = nvml_cap_control();
  ASSERT_TRUE(control.ok());
  auto guard = CapGuard::start(*control.value());
  ASSERT_TRUE(guard.ok()) << guard.reason();
  const auto lowered = guard.value()->lower_to(watts(150));
  ASSERT_FALSE(lowered.ok());
  EXPECT_THAT(lowered.reason(), HasSubstr("GPU-fake-1 takes no cap below 200 W"));
  EXPECT_EQ(driver.value("0 limit_mw"), "700000");
}

TEST(CapGuard, TellsWhatItCouldNotRestore) {
  const FakeDriver driver{test::two_boards()};
  const auto control = nvml_cap_control();
  ASSERT_TRUE(control.ok());
  auto guard = CapGuard::start(*control.value());
  ASSERT_TRUE(guard.ok()) << guard.reason();
  ASSERT_TRUE(guard.value()->lower_to(watts(300)).ok());
  driver.write(test::two_boards() + "1 set_status 4\n1 limit_mw 300000\n");
  const auto failed = guard.value()->restore();
  ASSERT_EQ(failed.size(), 1U);
  EXPECT_THAT(failed[0], HasSubstr("GPU-fake-1"));
  driver.write(test::two_boards() + "1 limit_mw 300000\n");
  EXPECT_THAT(guard.value()->restore(), IsEmpty());
}

TEST(CapGuard, DoesNotLowerWithoutItsGuardian) {
  const FakeDriver driver{test::two_boards()};
  const auto control = nvml_cap_control();
  ASSERT_TRUE(control.ok());
  const auto before = child_processes();
  auto guard = CapGuard::start(*control.value());
  ASSERT_TRUE(guard.ok()) << guard.reason();
  for (const auto child : child_processes()) {
    if (std::find(before.begin(), before.end(), child) == before.end()) {
      ::kill(child, SIGKILL);
    }
  }
  const auto lowered = guard.value()->lower_to(watts(300));
  ASSERT_FALSE(lowered.ok());
  EXPECT_THAT(lowered.reason(), HasSubstr("guardian"));
  EXPECT_EQ(driver.value("0 limit_mw"), "700000");
}

TEST(CapGuard, DoesNotStartWhereCapsCannotBeRead) {
  const FakeDriver driver{"gpus 1\n0 power_mw 5\n"};
  const auto control = nvml_cap_control();
  ASSERT_TRUE(control.ok());
  const auto guard = CapGuard::start(*control.value());
  ASSERT_FALSE(guard.ok());
  EXPECT_THAT(guard.reason(), HasSubstr("Not Supported"));
}

}  // namespace
}  // namespace perwatt::device
