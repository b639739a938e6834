/* SPDX-License-Identifier: Apache-2.0
 *
 * What cmocka.h wants to see before it.
 */
#ifndef TEST_CLI_TEST_H
#define TEST_CLI_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
