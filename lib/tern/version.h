// Which tern this is.
#ifndef TERN_TERN_VERSION_H_
#define TERN_TERN_VERSION_H_

#include "tern/export.h"

// Of the headers a program was compiled with. Before 1.0 a minor step may break the interface.
#define TERN_VERSION_MAJOR 0
#define TERN_VERSION_MINOR 1
#define TERN_VERSION_PATCH 0

namespace tern {

// Of the library a program runs with: "0.1.0". Any thread; the text lives as long as the program.
TERN_EXPORT const char* VersionText();

}  // namespace tern

#endif  // TERN_TERN_VERSION_H_
