// What libtern shows to the outside; everything else is hidden.
#ifndef TERN_TERN_EXPORT_H_
#define TERN_TERN_EXPORT_H_

#define TERN_EXPORT __attribute__((visibility("default")))

#endif  // TERN_TERN_EXPORT_H_
