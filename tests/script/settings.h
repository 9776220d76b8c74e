// What option lines and shell commands of a script ask of the machine, for as far as it has an equal.
#ifndef TERN_TESTS_SCRIPT_SETTINGS_H_
#define TERN_TESTS_SCRIPT_SETTINGS_H_

#include <string>

#include "script/host.h"
#include "script/packet.h"
#include "script/script.h"

namespace tern::script {

struct Settings {
  HostOptions host;
  CompareOptions compare;
  uint16_t bind_port = 8080;
  uint16_t connect_port = 8080;
  bool ipv6 = false;
  std::string needs;  // what is not to be had here; the script is to be skipped
};

// Settings for a script, its initial commands obeyed. `ipv6_wanted` decides where the script does not.
Settings SettingsFor(const Script& script, bool ipv6_wanted);

// A command in the middle of a script: fine where it changes nothing that the machine knows; else it says
// what would be needed.
std::string ShellNeeds(const std::string& command, const Settings& settings);

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_SETTINGS_H_
