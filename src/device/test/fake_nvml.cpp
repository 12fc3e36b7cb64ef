// A stand-in for NVIDIA's libnvidia-ml.so.1. What its GPUs do stands in the text file that
// FAKE_NVML_STATE names, one "GPU KEY NUMBERS…" a line, read anew by every call:
//
//   gpus 2                   how many boards
//   0 power_mw 100 200       each call takes the next, the last one stays
//   0 instant_mw 150         field 186; absent: not supported
//   0 energy_mj 5000 90      series, as above; absent: not supported
//   0 energy_rate_mw 300000  a counter that grows with time instead
//   0 lost 1                 no handle (GPU is lost)
//   0 power_status 15        power and energy return this status
//   0 bounds_mw 100000 700000
//   0 default_mw 700000
//   0 limit_mw 700000        set by the functions that set a limit
//   0 other_limit_mw 500000  of another writer: the lower one is enforced
//   0 set_status 4           setting returns this
//   no_set_v2 1              the newer function to set limits returns FUNCTION_NOT_FOUND
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace {

enum Status {
  success = 0,
  uninitialized = 1,
  invalid_argument = 2,
  not_supported = 3,
  not_found = 6,
  function_not_found = 13,
  gpu_is_lost = 15,
  version_mismatch = 25
};

constexpr unsigned kMostGpus = 64;

struct Board {
  unsigned index;
};

Board boards[kMostGpus];
std::mutex mutex;
int users = 0;
std::map<std::string, std::size_t> calls;

std::string state_path() {
  const char* path = std::getenv("FAKE_NVML_STATE");
  return path == nullptr ? "" : path;
}

/// "0 power_mw" -> numbers
std::map<std::string, std::vector<double>> state() {
  std::map<std::string, std::vector<double>> entries;
  std::ifstream file{state_path()};
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words{line};
    std::string key;
    words >> key;
    if (!key.empty() && key.find_first_not_of("0123456789") == std::string::npos) {
      std::string name;
      words >> name;
      key += " " + name;
    }
    std::vector<double> numbers;
    for (double number = 0; words >> number;) {
      numbers.push_back(number);
    }
    entries[key] = numbers;
  }
  return entries;
}

/// The next number of a series, the first one only for `is_fixed`.
bool next(unsigned gpu, const std::string& name, double& value, bool is_fixed = false) {
  const auto entries = state();
  const auto key = std::to_string(gpu) + " " + name;
  const auto found = entries.find(key);
  if (found == entries.end() || found->second.empty()) {
    return false;
  }
  std::size_t at = 0;
  if (!is_fixed) {
    const std::lock_guard lock{mutex};
    at = calls[state_path() + key]++;
  }
  value = found->second[at < found->second.size() ? at : found->second.size() - 1];
  return true;
}

int give(void* device, const char* name, unsigned* value, bool is_fixed) {
  double number = 0;
  const auto gpu = static_cast<Board*>(device)->index;
  if (next(gpu, "power_status", number, true) && std::strstr(name, "limit") == nullptr) {
    return static_cast<int>(number);
  }
  if (!next(gpu, name, number, is_fixed)) {
    return not_supported;
  }
  *value = static_cast<unsigned>(number);
  return success;
}

int set_limit(unsigned gpu, unsigned milliwatts, const std::string& version) {
  double number = 0;
  if (next(gpu, "set_status", number, true)) {
    return static_cast<int>(number);
  }
  const auto lock_path = state_path() + ".lock";
  const int lock = ::open(lock_path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  ::flock(lock, LOCK_EX);
  auto entries = state();
  const auto bounds = entries[std::to_string(gpu) + " bounds_mw"];
  if (bounds.size() != 2 || milliwatts < bounds[0] || milliwatts > bounds[1]) {
    ::close(lock);
    return invalid_argument;
  }
  entries[std::to_string(gpu) + " limit_mw"] = {static_cast<double>(milliwatts)};
  entries[std::to_string(gpu) + " set_with_" + version] = {1};
  const auto scratch = state_path() + "." + std::to_string(::getpid());
  {
    std::ofstream file{scratch};
    file.precision(17);
    for (const auto& [key, numbers] : entries) {
      file << key;
      for (const double value : numbers) {
        file << ' ' << value;
      }
      file << '\n';
    }
  }
  std::rename(scratch.c_str(), state_path().c_str());
  ::close(lock);
  return success;
}

struct Field {
  unsigned id;
  unsigned scope;
  long long time;
  long long latency;
  int type;
  int status;
  unsigned long long bits;
};

struct Limit {
  unsigned version;
  unsigned char scope;
  unsigned milliwatts;
};

}  // namespace

extern "C" {

int nvmlInit_v2() {
  const std::lock_guard lock{mutex};
  if (state_path().empty()) {
    return 9;  // driver not loaded
  }
  for (unsigned i = 0; i < kMostGpus; ++i) {
    boards[i].index = i;
  }
  ++users;
  return success;
}

int nvmlShutdown() {
  const std::lock_guard lock{mutex};
  return users-- > 0 ? success : uninitialized;
}

const char* nvmlErrorString(int status) {
  switch (status) {
    case not_supported:
      return "Not Supported";
    case 4:
      return "Insufficient Permissions";
    case 9:
      return "Driver Not Loaded";
    case gpu_is_lost:
      return "GPU is lost";
    default:
      return "Unknown Error";
  }
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  {
    const std::lock_guard lock{mutex};
    if (users == 0) {
      return uninitialized;
    }
  }
  const auto entries = state();
  const auto found = entries.find("gpus");
  *count = found == entries.end() ? 0 : static_cast<unsigned>(found->second.at(0));
  return success;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  double number = 0;
  unsigned count = 0;
  if (nvmlDeviceGetCount_v2(&count) != success || index >= count) {
    return not_found;
  }
  if (next(index, "lost", number, true) && number > 0) {
    return gpu_is_lost;
  }
  *device = &boards[index];
  return success;
}

int nvmlDeviceGetUUID(void* device, char* text, unsigned length) {
  std::snprintf(text, length, "GPU-fake-%u", static_cast<Board*>(device)->index);
  return success;
}

int nvmlDeviceGetName(void*, char* text, unsigned length) {
  std::snprintf(text, length, "Fake H100");
  return success;
}

int nvmlDeviceGetPowerUsage(void* device, unsigned* value) {
  return give(device, "power_mw", value, false);
}

int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* value) {
  double number = 0;
  const auto gpu = static_cast<Board*>(device)->index;
  if (next(gpu, "power_status", number, true)) {
    return static_cast<int>(number);
  }
  if (next(gpu, "energy_rate_mw", number, true)) {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const double passed = static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
    *value = static_cast<unsigned long long>(number * passed);
    return success;
  }
  if (!next(gpu, "energy_mj", number)) {
    return not_supported;
  }
  *value = static_cast<unsigned long long>(number);
  return success;
}

int nvmlDeviceGetFieldValues(void* device, int count, Field* fields) {
  for (int i = 0; i < count; ++i) {
    unsigned value = 0;
    fields[i].status =
        fields[i].id == 186 ? give(device, "instant_mw", &value, false) : not_supported;
    fields[i].type = 1;
    fields[i].bits = value;
  }
  return success;
}

int nvmlDeviceGetPowerManagementLimitConstraints(void* device, unsigned* least, unsigned* most) {
  const auto entries = state();
  const auto found =
      entries.find(std::to_string(static_cast<Board*>(device)->index) + " bounds_mw");
  if (found == entries.end() || found->second.size() != 2) {
    return not_supported;
  }
  *least = static_cast<unsigned>(found->second[0]);
  *most = static_cast<unsigned>(found->second[1]);
  return success;
}

int nvmlDeviceGetPowerManagementDefaultLimit(void* device, unsigned* value) {
  return give(device, "default_mw", value, true);
}

int nvmlDeviceGetPowerManagementLimit(void* device, unsigned* value) {
  return give(device, "limit_mw", value, true);
}

int nvmlDeviceGetEnforcedPowerLimit(void* device, unsigned* value) {
  unsigned other = 0;
  const int status = give(device, "limit_mw", value, true);
  if (status == success && give(device, "other_limit_mw", &other, true) == success &&
      other < *value) {
    *value = other;
  }
  return status;
}

int nvmlDeviceSetPowerManagementLimit(void* device, unsigned milliwatts) {
  return set_limit(static_cast<Board*>(device)->index, milliwatts, "v1");
}

int nvmlDeviceSetPowerManagementLimit_v2(void* device, Limit* limit) {
  if (state().count("no_set_v2") > 0) {
    return function_not_found;
  }
  if (limit->version != (sizeof(Limit) | (2U << 24U))) {
    return version_mismatch;
  }
  if (limit->scope != 0) {
    return invalid_argument;
  }
  return set_limit(static_cast<Board*>(device)->index, limit->milliwatts, "v2");
}

/// Handles of instances: a caller that meters these too counts the board twice.
int nvmlDeviceGetMigDeviceHandleByIndex(void* device, unsigned, void** instance) {
  *instance = device;
  return success;
}

}  // extern "C"
