// Script files on disk.
#ifndef TERN_TESTS_SCRIPT_FILES_H_
#define TERN_TESTS_SCRIPT_FILES_H_

#include <string>
#include <vector>

namespace tern::script {

// False when the file cannot be read.
bool ReadFile(const std::string& path, std::string* text);

// The paths themselves, and for directories all *.pkt below them, in order of their names.
std::vector<std::string> FindScripts(const std::vector<std::string>& paths);

}  // namespace tern::script

#endif  // TERN_TESTS_SCRIPT_FILES_H_
