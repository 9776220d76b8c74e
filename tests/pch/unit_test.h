// Precompiled for the unit tests of each room: half of what compiling a small test takes is reading
// GoogleTest. Every test includes what it needs itself, so that -Db_pch=false builds as well.
#ifndef TERN_TESTS_PCH_UNIT_TEST_H_
#define TERN_TESTS_PCH_UNIT_TEST_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#endif  // TERN_TESTS_PCH_UNIT_TEST_H_
