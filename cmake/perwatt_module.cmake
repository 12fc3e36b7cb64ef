# perwatt_module(<name> SOURCES ... [DEPS ...] [PRIVATE_LIBS ...] [TESTS ...])
#
# One static library per module with an include root of its own, so that a header of an undeclared
# module is not found. The order of add_subdirectory() in the top file is the order of the floors:
# naming a module that is not yet added stops the configuration.
#
# The presets release, asan and tsan compile the files of a target in batches, each one translation
# unit: it halves the time. So a name in an unnamed namespace stands for one thing in the whole
# module (functions may overload), and hides no type, constant or function of a header. The
# presets dev and clang compile file by file: there each file must include what it needs.
function(perwatt_module name)
  cmake_parse_arguments(M "" "" "SOURCES;DEPS;PRIVATE_LIBS;TESTS" ${ARGN})
  add_library(perwatt_${name} STATIC ${M_SOURCES})
  add_library(perwatt::${name} ALIAS perwatt_${name})
  set_target_properties(perwatt_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(
    perwatt_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>
                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(perwatt_${name} PUBLIC cxx_std_20)
  foreach(dep IN LISTS M_DEPS)
    if(NOT TARGET perwatt::${dep})
      message(FATAL_ERROR "module ${name} depends on '${dep}', which is not on a lower floor")
    endif()
    get_property(dep_floor TARGET perwatt_${dep} PROPERTY PERWATT_FLOOR)
    if(NOT dep_floor LESS PERWATT_FLOOR)
      message(FATAL_ERROR "module ${name} (floor ${PERWATT_FLOOR}) depends on '${dep}' of floor ${dep_floor}")
    endif()
    target_link_libraries(perwatt_${name} PUBLIC perwatt::${dep})
  endforeach()
  set_property(TARGET perwatt_${name} PROPERTY PERWATT_FLOOR ${PERWATT_FLOOR})
  target_link_libraries(perwatt_${name} PRIVATE ${M_PRIVATE_LIBS})
  install(TARGETS perwatt_${name} EXPORT perwatt ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  if(BUILD_TESTING AND M_TESTS)
    add_executable(${name}_test ${M_TESTS})
    target_link_libraries(${name}_test PRIVATE perwatt::${name} GTest::gmock GTest::gtest_main)
    target_include_directories(${name}_test PRIVATE ${PROJECT_SOURCE_DIR}/tests/support)
    # The module keeps its optimisation; test code spends half of its compile time there for nothing.
    target_compile_options(${name}_test PRIVATE -O0)
    target_compile_definitions(
      ${name}_test PRIVATE PERWATT_TEST_DATA_DIR="${PROJECT_SOURCE_DIR}/data"
                           PERWATT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}." PROPERTIES LABELS "unit;${name}"
                         DISCOVERY_TIMEOUT 60)
  endif()
endfunction()
