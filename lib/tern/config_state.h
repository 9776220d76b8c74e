// Not installed: what the sources behind ConfigTable share.
#ifndef TERN_TERN_CONFIG_STATE_H_
#define TERN_TERN_CONFIG_STATE_H_

#include <absl/status/status.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tern/config.h"

namespace tern {

// How a value is written in TOML. As a flag all are text.
enum class ConfigKind : uint8_t {
  kBool,
  kInteger,
  kNumber,  // integer or float
  kText,
  kScalar,  // text or integer
};

// The one key that is a flag only.
inline constexpr std::string_view kConfigFlag = "config";

struct ConfigTable::State {
  struct Key {
    Custom custom;
    ConfigKind kind = ConfigKind::kText;
    std::string section;
    bool set = false;
  };
  struct Tables {
    std::string name;
    std::function<void(ConfigTable&)> begin;
    std::string help;
    std::string section;
  };

  std::vector<Key> keys;
  std::vector<Tables> tables;
  std::string section;
  std::string config_file;
  bool help_wanted = false;

  Key* Find(std::string_view name);
  // "; did you mean \"address\"?", or empty when nothing is near. `in_file`: among what a file may say.
  std::string Nearest(std::string_view name, bool in_file) const;
  // Gives `key` its value(s) from one place, replacing what was there. `where` begins the error.
  absl::Status Assign(Key& key, const std::vector<std::string>& values, const std::string& where);
};

}  // namespace tern

#endif  // TERN_TERN_CONFIG_STATE_H_
