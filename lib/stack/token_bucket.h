// The rate limit of lib/base, under the name this room has always used.
#ifndef TERN_STACK_TOKEN_BUCKET_H_
#define TERN_STACK_TOKEN_BUCKET_H_

#include "base/token_bucket.h"

namespace tern::stack {

using tern::TokenBucket;

}  // namespace tern::stack

#endif  // TERN_STACK_TOKEN_BUCKET_H_
