#include "tern/version.h"

#define TERN_TEXT(x) #x
#define TERN_VERSION_TEXT(major, minor, patch) TERN_TEXT(major) "." TERN_TEXT(minor) "." TERN_TEXT(patch)

namespace tern {

const char* VersionText() {
  return TERN_VERSION_TEXT(TERN_VERSION_MAJOR, TERN_VERSION_MINOR, TERN_VERSION_PATCH);
}

}  // namespace tern
